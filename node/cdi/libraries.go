package cdi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Libraries are what a node has for containers.
type Libraries struct {
	// Nodes finds the file in /dev of a device; nil where there are none.
	Nodes func(uuid string) (string, error)
	// Root is where the node's files are for this process.
	Root string

	env    []string // of every container
	mounts []Mount
}

// Simulate gives containers simulated devices, whose state is in a folder of
// the node.
func (l *Libraries) Simulate(state, devices string) {
	const inside = "/run/weir-sim"
	l.env = append(l.env, "WEIR_SIM="+inside, "WEIR_SIM_DEVICES="+devices)
	l.mounts = append(l.mounts, Mount{state, inside, writable})
}

// places are where loaders look for libraries, whatever a container's image:
// Debian's and its children's, and everybody else's.
var places = map[string][]string{
	"amd64": {"/usr/lib/x86_64-linux-gnu", "/usr/lib64"},
	"arm64": {"/usr/lib/aarch64-linux-gnu", "/usr/lib64"},
}

// Find looks at the shim's libraries in one folder and the driver's in another,
// which is below root, where the node's own files are. Whatever name a library of the driver has that the shim stands before, the
// shim has it in a container. The driver's own are in a folder "driver" beside
// it, which is where the shim looks for them.
func Find(shim, root, driver, arch string) (*Libraries, error) {
	list, err := os.ReadDir(driver)
	if err != nil {
		return nil, err
	}
	l := &Libraries{Root: root}
	seen := 0
	for _, place := range places[arch] {
		for _, entry := range list {
			name := entry.Name()
			if !ofDriver(name) {
				continue
			}
			real, err := resolve(root, filepath.Join(driver, name))
			if err != nil {
				continue // a link that leads nowhere is of no use in a container either
			}
			shadow := shadowOf(name)
			if shadow == "" {
				l.mounts = append(l.mounts, Mount{real, filepath.Join(place, name), readOnly})
				continue
			}
			l.mounts = append(l.mounts, Mount{filepath.Join(shim, shadow), filepath.Join(place, name), readOnly})
			if name == shadow {
				seen++
				l.mounts = append(l.mounts, Mount{real, filepath.Join(place, "driver", name), readOnly})
			}
		}
	}
	switch {
	case len(places[arch]) == 0:
		return nil, fmt.Errorf("containers of %s machines are not known: their loaders' folders are needed", arch)
	case seen != len(shadows)*len(places[arch]):
		return nil, fmt.Errorf("%s has not all of the driver's libraries: %s are needed", driver, strings.Join(shadows, " and "))
	}
	return l, nil
}

// resolve follows a path of this process to the file that it leads to, by the
// node's own names. Links of the node lead to where they do on the node.
func resolve(root, path string) (string, error) {
	inside, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(inside) {
		return filepath.EvalSymlinks(path) // the agent's own: simulated, or named by its user
	}
	for range 32 { // links are not longer than that
		at := filepath.Join(root, inside)
		to, err := os.Readlink(at)
		if errors.Is(err, syscall.EINVAL) { // it is none
			_, err := os.Stat(at)
			return filepath.Join("/", inside), err
		}
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join("/", filepath.Dir(inside), to)
		}
		inside = filepath.Join(".", to)
	}
	return "", fmt.Errorf("%s is a link that leads nowhere", path)
}

// shadows are the libraries that the shim stands before.
var shadows = []string{"libcuda.so.1", "libnvidia-ml.so.1"}

// shadowOf returns which of the shim's libraries stands before one of the
// driver's, by whichever of its names; "" for none.
func shadowOf(name string) string {
	for _, shadow := range shadows {
		stem := strings.TrimSuffix(shadow, "1")
		if strings.HasPrefix(name, stem) || name+"." == stem {
			return shadow
		}
	}
	return ""
}

// ofDriver reports whether a library is a part of the driver.
func ofDriver(name string) bool {
	return slices.ContainsFunc([]string{"libcuda.so", "libcudadebugger.so", "libnvidia-", "libnvcuvid.so", "libnvoptix.so"},
		func(stem string) bool { return strings.HasPrefix(name, stem) }) && strings.Contains(name, ".so")
}

// controls are the driver's files in /dev that all programs need.
var controls = []string{"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"}

// FileOf finds the file of a real device by what the driver says below
// proc, which is /proc/driver/nvidia.
func FileOf(proc, uuid string) (string, error) {
	files, err := filepath.Glob(filepath.Join(proc, "gpus", "*", "information"))
	if err != nil {
		return "", err
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		said := map[string]string{}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			said[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		if said["GPU UUID"] == uuid && said["Device Minor"] != "" {
			return "/dev/nvidia" + said["Device Minor"], nil
		}
	}
	return "", errors.New("the driver does not name it in " + proc)
}
