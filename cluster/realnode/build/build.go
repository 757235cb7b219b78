// Package build builds the programs of others that a real node runs: the
// kubelet of the Kubernetes that Weir embeds, and containerd. Neither is linked
// into weir, whose own build would take half as long again for what few need.
package build

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Containerd is its version. Debian's own is too old for claims: it passes over
// the devices that it is told of.
const Containerd = "v2.3.7"

const containerd = "github.com/containerd/containerd/v2/cmd/"

// Tools puts the programs into a folder. It needs Go, and what Go gets modules
// from.
func Tools(folder string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(kubelet(folder), runtimes(folder))
}

// kubelet is a tool of this module, so that its version is the cluster's.
func kubelet(folder string) error {
	release, err := run("", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return err
	}
	release = strings.TrimSpace(release)
	flags := []string{"-s", "-w", "-X", "k8s.io/component-base/version.gitVersion=" + release,
		"-X", "k8s.io/client-go/pkg/version.gitVersion=" + release}
	_, err = run("", "build", "-trimpath", "-ldflags", strings.Join(flags, " "), "-o", filepath.Join(folder, "kubelet"),
		"k8s.io/kubernetes/cmd/kubelet")
	return err
}

// runtimes are containerd, the shim that stays with each of its containers,
// and the program that gives it images.
func runtimes(folder string) error {
	if out, err := exec.Command(filepath.Join(folder, "containerd"), "--version").Output(); err == nil &&
		strings.Contains(string(out), strings.TrimPrefix(Containerd, "v")) {
		return nil
	}
	for _, name := range []string{"containerd-shim-runc-v2", "ctr", "containerd"} { // the last one says that all are there
		if _, err := run(folder, "install", "-trimpath", "-ldflags", "-s -w", containerd+name+"@"+Containerd); err != nil {
			return err
		}
	}
	return nil
}

// run runs the go command in the module's folder.
func run(bin string, args ...string) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Dir(file)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+bin)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return string(out), nil
}
