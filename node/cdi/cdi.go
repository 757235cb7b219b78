// Package cdi says what a container is given that has a part of a GPU: the
// shim's libraries over the driver's, the driver beside them, the folder with
// the socket of its job. It says so in the words of the Container Device
// Interface, which container runtimes read from files.
//
// Nothing in an image is changed, and nothing is preloaded.
package cdi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Kind is of all devices in the files that this package writes.
const Kind = "gpu.weir.dev/share"

// version is that of the interface which all runtimes know that know of claims.
const version = "0.6.0"

// Edits are what changes in a container.
type Edits struct {
	Env         []string     `json:"env,omitempty"`
	DeviceNodes []DeviceNode `json:"deviceNodes,omitempty"`
	Mounts      []Mount      `json:"mounts,omitempty"`
}

// DeviceNode is a file of /dev.
type DeviceNode struct {
	Path string `json:"path"`
}

// Mount is a file or folder of the node.
type Mount struct {
	HostPath      string   `json:"hostPath"`
	ContainerPath string   `json:"containerPath"`
	Options       []string `json:"options"`
}

// Device is what a container gets that is given the device's name.
type Device struct {
	Name  string `json:"name"`
	Edits Edits  `json:"containerEdits"`
}

// ID is how a kubelet names a device to a container runtime.
func (d Device) ID() string { return Kind + "=" + d.Name }

type file struct {
	Version string   `json:"cdiVersion"`
	Kind    string   `json:"kind"`
	Devices []Device `json:"devices"`
}

// Folder is where a container runtime looks for such files.
type Folder string

const prefix, suffix = "gpu.weir.dev-", ".json"

func (f Folder) path(name string) string { return filepath.Join(string(f), prefix+name+suffix) }

// Write writes the devices of one name; those that were there before are
// replaced at once.
func (f Folder) Write(name string, devices []Device) error {
	text, err := json.MarshalIndent(file{version, Kind, devices}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return err
	}
	next := filepath.Join(string(f), "."+prefix+name+".next") // no runtime reads such names
	if err := os.WriteFile(next, text, 0o644); err != nil {
		return err
	}
	return os.Rename(next, f.path(name))
}

// Remove removes the devices of a name, if there are any.
func (f Folder) Remove(name string) error {
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Names returns the names that there are devices of.
func (f Folder) Names() (names []string, err error) {
	list, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range list {
		if name, ok := strings.CutPrefix(entry.Name(), prefix); ok && strings.HasSuffix(name, suffix) {
			names = append(names, strings.TrimSuffix(name, suffix))
		}
	}
	return names, err
}

// The mounts of what is only read, and of the simulated devices' state.
var (
	readOnly = []string{"ro", "nosuid", "nodev", "rbind", "rprivate"}
	writable = []string{"rw", "nosuid", "nodev", "rbind", "rprivate"}
)

// socket is where the shim looks for the agent: shim/wire.h.
const socket = "/run/weir"

// Share is what a container is to have.
type Share struct {
	Door  string   // the folder with its job's socket
	UUIDs []string // of its devices
}

// Edits returns what gives a container its share, with the node's libraries.
func (l *Libraries) Edits(s Share) (Edits, error) {
	e := Edits{
		Env:    append([]string{"CUDA_VISIBLE_DEVICES=" + strings.Join(s.UUIDs, ",")}, l.env...),
		Mounts: append(slices.Clone(l.mounts), Mount{s.Door, socket, readOnly}),
	}
	if l.Nodes != nil {
		for _, uuid := range s.UUIDs {
			node, err := l.Nodes(uuid)
			if err != nil {
				return Edits{}, fmt.Errorf("device %s has no file in /dev: %w", uuid, err)
			}
			e.DeviceNodes = append(e.DeviceNodes, DeviceNode{node})
		}
		for _, node := range controls {
			if _, err := os.Stat(filepath.Join(l.Root, node)); err == nil {
				e.DeviceNodes = append(e.DeviceNodes, DeviceNode{node})
			}
		}
	}
	return e, nil
}
