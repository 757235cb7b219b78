package realnode_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/weir-gpu/weir/cluster/realnode/build"
	"github.com/weir-gpu/weir/cluster/realnode/image"
	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/client"
	"github.com/weir-gpu/weir/node/library"
	shim "github.com/weir-gpu/weir/shim/build"
)

// bin is where weir is, and all that it needs beside it.
var bin string

// missing says why a machine cannot be a node; "" where it can.
func missing() string {
	if os.Getuid() != 0 {
		return "a real node is for root"
	}
	for _, name := range []string{"go", shim.Compiler(), "runc", "busybox", "nsenter"} {
		if _, err := exec.LookPath(name); err != nil {
			return name + " is missing"
		}
	}
	if err := exec.Command("unshare", "--mount", "--pid", "--net", "--fork", "true").Run(); err != nil {
		return fmt.Sprintf("this machine gives out no namespaces: %v", err)
	}
	return ""
}

func TestMain(m *testing.M) { os.Exit(tests(m)) }

func tests(m *testing.M) int {
	if why := missing(); why != "" {
		fmt.Println("skipped:", why)
		return 0
	}
	dir, err := os.MkdirTemp("", "weir-real-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	bin = filepath.Join(dir, "bin")
	if err := put(); err != nil {
		if strings.Contains(err.Error(), "go install") {
			fmt.Println("skipped: containerd cannot be had:", err)
			return 0
		}
		fmt.Println(err)
		return 1
	}
	return m.Run()
}

// put builds everything, and what the test's containers run.
func put() error {
	if _, _, err := shim.Machine(bin); err != nil {
		return err
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "weir"), "../../cmd/weir").CombinedOutput(); err != nil {
		return fmt.Errorf("building weir: %w\n%s", err, out)
	}
	// The folder of the node's tools is seen within the node.
	if err := build.Tools(filepath.Join(bin, "node")); err != nil {
		return err
	}
	sim := filepath.Join(bin, "sim")
	err := shim.Program(filepath.Join(bin, "tenant"), shim.Plain, []string{filepath.Join(sim, "libcuda.so.1")},
		"../test/realnode/program/tenant.c")
	if err == nil {
		err = shim.Program(filepath.Join(bin, "node", "used"), shim.Plain, []string{filepath.Join(sim, "libnvidia-ml.so.1")},
			"../test/realnode/program/used.c")
	}
	if err != nil {
		return err
	}
	i := image.Image{Name: "weir.test/tenant:1", Files: map[string]string{"/bin/tenant": filepath.Join(bin, "tenant")}}
	if err := image.Libraries(i.Files, filepath.Join(bin, "tenant"), library.Names...); err != nil {
		return err
	}
	var tar bytes.Buffer
	if err := i.Write(&tar); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bin, "tenant.tar"), tar.Bytes(), 0o644)
}

// world is a cluster with one node, which is this machine.
type world struct {
	*testing.T
	dir  string // of the cluster
	up   *exec.Cmd
	said *bytes.Buffer
	kube kubernetes.Interface
}

// newWorld runs weir up --real-node, and waits until it is up.
func newWorld(t *testing.T, state string, flags ...string) *world {
	t.Helper()
	w := &world{T: t, dir: filepath.Join(state, "weir", "t"), said: &bytes.Buffer{}}
	w.up = exec.Command(filepath.Join(bin, "weir"), append([]string{"up", "--real-node", "--name", "t", "--fresh",
		"--load", filepath.Join(bin, "tenant.tar")}, flags...)...)
	w.up.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	w.up.Stderr = w.said
	out, err := w.up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.end(syscall.SIGINT) })
	up := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "is up at") {
				up <- true
			}
		}
		close(up)
	}()
	if !<-up {
		_ = w.up.Wait()
		t.Fatalf("weir up --real-node: %s\n%s", w.said, w.logs())
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(w.dir, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	if w.kube, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return w
}

// end ends weir up, once.
func (w *world) end(signal syscall.Signal) {
	if w.up.ProcessState == nil {
		_ = w.up.Process.Signal(signal)
		_ = w.up.Wait()
	}
}

// logs are the ends of what the node's programs have written.
func (w *world) logs() string {
	var all strings.Builder
	files, _ := filepath.Glob(filepath.Join(w.dir, "node", "*.log"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&all, "\n%s:\n%s\n", filepath.Base(file), strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return all.String()
}

func (w *world) eventually(what string, check func() error) {
	w.Helper()
	var err error
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	w.Fatalf("not so: %s: %v\n%s", what, err, w.logs())
}

// first is the node's first process, as this machine knows it.
func (w *world) first() string {
	to, err := os.Readlink(filepath.Join(w.dir, "node", "agent"))
	if err != nil {
		w.Fatal(err)
	}
	return strings.Split(to, "/")[2]
}

// programs are the processes of the node that run a program of a name.
func (w *world) programs(name string) (pids []int) {
	own, err := os.Readlink("/proc/" + w.first() + "/ns/pid_for_children")
	if err != nil {
		w.Fatal(err)
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		where, _ := os.Readlink(dir + "/ns/pid")
		args, _ := os.ReadFile(dir + "/cmdline")
		if where == own && strings.Contains(strings.ReplaceAll(string(args), "\x00", " "), name) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			pids = append(pids, pid)
		}
	}
	return pids
}

// kill kills a program of the node.
func (w *world) kill(name string) {
	w.Helper()
	var pids []int
	w.eventually(name+" runs", func() error {
		if pids = w.programs(name); len(pids) != 1 {
			return fmt.Errorf("%d processes do", len(pids))
		}
		return nil
	})
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		w.Fatal(err)
	}
}

// agent asks the node's agent.
func (w *world) agent() (agent.Node, error) {
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Second)
	defer cancel()
	return client.New(filepath.Join(w.dir, "node", "agent")).Node(ctx)
}

// job is what the agent knows of a tenant.
func (w *world) job(namespace, name string) (agent.Job, error) {
	n, err := w.agent()
	for _, j := range n.Jobs {
		if j.Name == namespace+"/"+name+"/main" {
			return j, err
		}
	}
	return agent.Job{}, cmp.Or(err, fmt.Errorf("the agent knows no job of %s/%s", namespace, name))
}

// used asks the driver how much memory of the device is taken.
func (w *world) used() (uint64, error) {
	out, err := exec.Command("nsenter", "--target", w.first(), "--mount", "--pid", "env", "LD_LIBRARY_PATH=/run/node/sim",
		"WEIR_SIM=/run/weir/sim", "/run/node/tools/used").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	return strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
}
