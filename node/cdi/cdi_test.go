package cdi_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-gpu/weir/node/cdi"
)

// machine makes files and links below a folder.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, to := range files {
		at := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		link, ok := strings.CutPrefix(to, "-> ")
		err := error(nil)
		if ok {
			err = os.Symlink(link, at)
		} else {
			err = os.WriteFile(at, []byte(to), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const lib = "usr/lib/x86_64-linux-gnu/"

var driver = map[string]string{
	lib + "libcuda.so":                            "-> libcuda.so.1",
	lib + "libcuda.so.1":                          "-> libcuda.so.580.95.05",
	lib + "libcuda.so.580.95.05":                  "the driver",
	lib + "libnvidia-ml.so.1":                     "-> /etc/alternatives/nvml", // as Debian has it
	"etc/alternatives/nvml":                       "-> /opt/nvml",
	"opt/nvml":                                    "NVML",
	lib + "libnvidia-ptxjitcompiler.so.1":         "-> libnvidia-ptxjitcompiler.so.580.95.05",
	lib + "libnvidia-ptxjitcompiler.so.580.95.05": "a compiler",
	lib + "libnvidia-gone.so.1":                   "-> nowhere",
	lib + "libcudart.so.13":                       "none of the driver's",
	lib + "libc.so.6":                             "nor is this",
}

// Whatever name of a shadowed library a program knows, it finds the shim; the
// driver's own are where the shim looks, and the rest is where it always is.
func TestWhatAContainerIsGiven(t *testing.T) {
	root := machine(t, driver)
	l, err := cdi.Find("/run/weir/lib", root, filepath.Join(root, lib), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	l.Nodes = func(uuid string) (string, error) { return "/dev/nvidia3", nil }
	edits, err := l.Edits(cdi.Share{Door: "/run/weir/jobs/j1/door", UUIDs: []string{"GPU-a", "GPU-b"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, m := range edits.Mounts {
		if !slices.Contains(m.Options, "ro") {
			t.Errorf("%s is writable", m.ContainerPath)
		}
		got[m.ContainerPath] = m.HostPath
	}
	want := map[string]string{"/run/weir": "/run/weir/jobs/j1/door"}
	for _, place := range []string{"/usr/lib/x86_64-linux-gnu/", "/usr/lib64/"} {
		for name, from := range map[string]string{
			"libcuda.so": "/run/weir/lib/libcuda.so.1", "libcuda.so.1": "/run/weir/lib/libcuda.so.1",
			"libcuda.so.580.95.05": "/run/weir/lib/libcuda.so.1", "libnvidia-ml.so.1": "/run/weir/lib/libnvidia-ml.so.1",
			"driver/libcuda.so.1":                   "/" + lib + "libcuda.so.580.95.05",
			"driver/libnvidia-ml.so.1":              "/opt/nvml",
			"libnvidia-ptxjitcompiler.so.1":         "/" + lib + "libnvidia-ptxjitcompiler.so.580.95.05",
			"libnvidia-ptxjitcompiler.so.580.95.05": "/" + lib + "libnvidia-ptxjitcompiler.so.580.95.05",
		} {
			want[place+name] = from
		}
	}
	for path, from := range want {
		if got[path] != from {
			t.Errorf("%s is %q, want %q", path, got[path], from)
		}
		delete(got, path)
	}
	if len(got) > 0 {
		t.Errorf("and it is given %v", got)
	}
	if !slices.Equal(edits.Env, []string{"CUDA_VISIBLE_DEVICES=GPU-a,GPU-b"}) || edits.DeviceNodes[0].Path != "/dev/nvidia3" {
		t.Errorf("%q, %v", edits.Env, edits.DeviceNodes)
	}
}

func TestDriversThatAreNone(t *testing.T) {
	root := machine(t, map[string]string{lib + "libcuda.so.1": "the driver"})
	for _, c := range []struct{ driver, arch, want string }{
		{filepath.Join(root, lib), "amd64", "has not all of the driver's libraries: libcuda.so.1 and libnvidia-ml.so.1 are needed"},
		{filepath.Join(root, "none"), "amd64", "no such file"},
		{filepath.Join(root, lib), "riscv64", "containers of riscv64 machines are not known"},
	} {
		if _, err := cdi.Find("/shim", root, c.driver, c.arch); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestFileOfADevice(t *testing.T) {
	proc := machine(t, map[string]string{
		"gpus/0000:18:00.0/information": "Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-b\nDevice Minor: \t 1\n",
		"gpus/0000:2a:00.0/information": "Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-a\nDevice Minor: \t 0\n",
	})
	if got, err := cdi.FileOf(proc, "GPU-b"); got != "/dev/nvidia1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := cdi.FileOf(proc, "GPU-c"); err == nil {
		t.Errorf("%q", got)
	}
}

// A file is there wholly or not at all, and others' are not touched.
func TestFiles(t *testing.T) {
	f := cdi.Folder(filepath.Join(t.TempDir(), "cdi"))
	if names, err := f.Names(); len(names) > 0 || err != nil {
		t.Errorf("%q, %v", names, err)
	}
	for _, env := range []string{"A=1", "A=2"} {
		if err := f.Write("uid", []cdi.Device{{Name: "uid-gpu", Edits: cdi.Edits{Env: []string{env}}}}); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(string(f), "nvidia.json")
	if err := os.WriteFile(other, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(string(f), "gpu.weir.dev-uid.json"))
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		CDIVersion, Kind string
		Devices          []cdi.Device
	}
	if err := json.Unmarshal(text, &read); err != nil || read.Kind != cdi.Kind || read.CDIVersion == "" ||
		read.Devices[0].ID() != "gpu.weir.dev/share=uid-gpu" || read.Devices[0].Edits.Env[0] != "A=2" {
		t.Errorf("%s, %v", text, err)
	}
	if names, err := f.Names(); !slices.Equal(names, []string{"uid"}) || err != nil {
		t.Errorf("%q, %v", names, err)
	}
	for range 2 {
		if err := f.Remove("uid"); err != nil {
			t.Error(err)
		}
	}
	left, err := os.ReadDir(string(f))
	if err != nil || len(left) != 1 || left[0].Name() != "nvidia.json" {
		t.Errorf("%v, %v", left, err)
	}
}
