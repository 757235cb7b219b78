package cdi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Libraries are what a node has for containers.
type Libraries struct {
	// Nodes finds the file in /dev of a device; nil where there are none.
	Nodes func(uuid string) (string, error)

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

// Find looks at the shim's libraries in one folder and the driver's in another.
// Whatever name a library of the driver has that the shim stands before, the
// shim has it in a container. The driver's own are in a folder "driver" beside
// it, which is where the shim looks for them.
func Find(shim, driver, arch string) (*Libraries, error) {
	list, err := os.ReadDir(driver)
	if err != nil {
		return nil, err
	}
	l := &Libraries{}
	seen := 0
	for _, place := range places[arch] {
		for _, entry := range list {
			name := entry.Name()
			real, err := filepath.EvalSymlinks(filepath.Join(driver, name))
			if err != nil || !ofDriver(name) {
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
