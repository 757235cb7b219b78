package witness_test

import (
	"bufio"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/witness"
	"github.com/weir-gpu/weir/shim/build"
)

func read(text string) (witness.Look, error) {
	return witness.Read(bufio.NewReader(strings.NewReader(text)))
}

func TestRead(t *testing.T) {
	l, err := read("look\t77\ndevice\tGPU-a\nprocess\t10\t4096\nprocess\t11\t-\ndevice\tGPU-b\ndone\nlook\t")
	if err != nil || l.At != 77 || len(l.Devices) != 2 || len(l.Devices["GPU-b"]) != 0 ||
		!maps.Equal(l.Devices["GPU-a"], witness.Processes{10: 4096, 11: witness.Unknown}) {
		t.Errorf("%+v, %v", l, err)
	}
	for text, want := range map[string]uint64{ // who computes and draws is named twice
		"process\t5\t10\nprocess\t5\t7\n": 10,
		"process\t5\t7\nprocess\t5\t10\n": 10,
		"process\t5\t-\nprocess\t5\t10\n": 10,
		"process\t5\t10\nprocess\t5\t-\n": 10,
		"process\t5\t-\nprocess\t5\t-\n":  witness.Unknown,
	} {
		if l, err := read("look\t1\ndevice\tGPU-a\n" + text + "done\n"); err != nil || l.Devices["GPU-a"][5] != want {
			t.Errorf("%q: %+v, %v", text, l, err)
		}
	}
	for _, text := range []string{"", "done\n", "look\t-1\n", "look\tx\ndone\n", "look\t1\n", "look\t1\ndone", "look\t1\nprocess\t1\t1\ndone\n",
		"look\t1\ndevice\t\ndone\n", "look\t1\ndevice\tGPU-a\nprocess\t0\t1\ndone\n", "look\t1\ndevice\tGPU-a\nprocess\t1\ndone\n",
		"look\t1\ndevice\tGPU-a\nprocess\t1\t18446744073709551615\ndone\n", "look\t1\nlook\t2\ndone\n"} {
		if l, err := read(text); err == nil {
			t.Errorf("%q became %+v", text, l)
		}
	}
}

// FuzzRead reads anything, and what it says that it has read is in the text.
func FuzzRead(f *testing.F) {
	f.Add("look\t77\ndevice\tGPU-a\nprocess\t10\t4096\nprocess\t11\t-\ndone\n")
	f.Add("look\t1\ndone\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := read(text)
		if err != nil {
			return
		}
		for id, processes := range l.Devices {
			if !strings.Contains(text, "device\t"+id+"\n") {
				t.Errorf("nobody spoke of %q", id)
			}
			for pid, bytes := range processes {
				if pid <= 0 || bytes != witness.Unknown && !strings.Contains(text, strconv.FormatUint(bytes, 10)) {
					t.Errorf("process %d has %d bytes", pid, bytes)
				}
			}
		}
	})
}

// machine is a simulated driver, and the program that asks it.
func machine(t *testing.T) (probe, nvml, cuda string, env []string) {
	t.Helper()
	if _, err := exec.LookPath(build.Compiler()); err != nil {
		t.Skip("there is no C compiler")
	}
	dir := t.TempDir()
	shim, sim, err := build.Machine(dir)
	if err != nil {
		t.Fatal(err)
	}
	env = []string{"WEIR_SIM=" + filepath.Join(dir, "devices"), "WEIR_SIM_DEVICES=2x1GiB", "WEIR_SIM_CONTEXT=30"}
	return filepath.Join(shim, "probe"), filepath.Join(sim, "libnvidia-ml.so.1"), filepath.Join(sim, "libcuda.so.1"), env
}

// A program takes memory, and is seen with it; when it has ended it is not.
func TestLooksAtTheDriver(t *testing.T) {
	probe, nvml, cuda, env := machine(t)
	d := witness.New(probe, nvml, 10*time.Second, env...)
	defer d.Close()
	l, err := d.Look(t.Context())
	if err != nil || len(l.Devices) != 2 {
		t.Fatalf("%+v, %v", l, err)
	}
	hold := filepath.Join(t.TempDir(), "hold")
	if err := build.Program(hold, build.Plain, []string{cuda}, "../test/machine/program/hold.c"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(hold, "1")
	cmd.Env = append(os.Environ(), append(env, "LD_LIBRARY_PATH="+filepath.Dir(cuda))...)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "994 MiB, then error 2") {
		t.Fatalf("%q, %v", line, err)
	}
	before := l.At
	if l, err = d.Look(t.Context()); err != nil || l.At <= before {
		t.Fatalf("%+v, %v", l, err)
	}
	seen := 0
	for _, processes := range l.Devices {
		for pid, bytes := range processes {
			if seen++; pid != cmd.Process.Pid || bytes != 1024<<20 {
				t.Errorf("process %d has %d bytes; it is %d", pid, bytes, cmd.Process.Pid)
			}
		}
	}
	if seen != 1 {
		t.Errorf("%d processes were seen", seen)
	}
	in.Close()
	_ = cmd.Wait()
	if l, err = d.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, processes := range l.Devices {
		if len(processes) != 0 {
			t.Errorf("%s: %v", id, processes)
		}
	}
}

// script is a program in the place of the one that asks.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// A program that ends, says nonsense or nothing at all is started anew; nobody
// waits for it for longer than was said.
func TestDriversThatFail(t *testing.T) {
	for text, want := range map[string]string{
		"echo the library is broken >&2; exit 1":         "the library is broken",
		"read line; echo look; sleep 60":                 `cannot be read: "look\n"`,
		"read line; printf 'look\\t1\\n'; exec sleep 60": "it has not answered for 200ms",
	} {
		d := witness.New(script(t, text), "nvml", 200*time.Millisecond)
		for range 2 {
			began := time.Now()
			_, err := d.Look(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %s", text, err, want)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%q: it took %v", text, took)
			}
		}
		d.Close()
	}
	mark := filepath.Join(t.TempDir(), "mark")
	d := witness.New(script(t, `test -e `+mark+` || { touch `+mark+`; exit 1; }
read line; printf 'look\t5\ndone\n'; read line`), "nvml", 10*time.Second)
	defer d.Close()
	if _, err := d.Look(t.Context()); err == nil {
		t.Error("it answered before it was started anew")
	}
	if l, err := d.Look(t.Context()); err != nil || l.At != 5 {
		t.Errorf("%+v, %v", l, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Look(ctx); err == nil {
		t.Error("it looked though nobody wanted it any more")
	}
}
