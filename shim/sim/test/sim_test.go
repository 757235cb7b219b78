// Package sim_test builds the simulated driver and runs the programs in c
// against it: as it is built for use, and with the compiler's sanitizers.
package sim_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// programs are the tests, each with what it needs beside the usual.
var programs = []struct {
	name string
	env  []string
	slow []string // the same with sanitizers, where things take longer
}{
	{name: "families"},
	{name: "data"},
	{name: "order"},
	{name: "share"},
	{name: "find"},
	{name: "names"},
	{name: "devices"},
	{name: "faults"},
	{name: "random", env: []string{"STEPS=200000"}, slow: []string{"STEPS=30000"}},
	{name: "kill", env: []string{"KILLS=300"}, slow: []string{"KILLS=60"}},
}

// compiler is what builds C here.
func compiler(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if path, err := exec.LookPath(name); err == nil && name != "" {
			return path
		}
	}
	t.Skip("no C compiler here: set CC, or install gcc or clang, to test the simulated driver")
	return ""
}

// memory are the flags for checks of each access to memory and of undefined
// behaviour.
const memory = "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all"

// noNamespace is how a program ends that would need one and may not have it.
const noNamespace = 77

func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == noNamespace {
		t.Skip("a process namespace may not be made here: run this test as root")
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// build makes the driver with extra flags in a folder.
func build(t *testing.T, cc, flags string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, []string{"CC=" + cc, "CFLAGS=" + flags}, "../build.sh", dir)
	return dir
}

// play builds one program and runs it on devices of its own.
func play(t *testing.T, cc, lib, flags, name string, env []string, words ...string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	args := append([]string{"-std=c11", "-Wall", "-Wextra", "-Werror", "-O1"}, strings.Fields(flags)...)
	args = append(args, "-o", program, filepath.Join("c", name+".c"), filepath.Join(lib, "libcuda.so.1"),
		filepath.Join(lib, "libnvidia-ml.so.1"), "-Wl,-rpath,"+lib, "-lpthread")
	run(t, nil, cc, args...)
	env = append([]string{"WEIR_SIM=" + t.TempDir(), "WEIR_SIM_DEVICES=2x1GiB", "WEIR_SIM_CONTEXT=0"}, env...)
	run(t, env, program, words...)
}

// declared are the functions of shim/abi.
func declared(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, file := range []string{"cuda.h", "cuda_launch.h", "cuda_threads.h", "nvml.h"} {
		text, err := os.ReadFile(filepath.Join("../../abi", file))
		if err != nil {
			t.Fatal(err)
		}
		pattern := `(?m)^(?:CUresult|nvmlReturn_t) (\w+)\(|X\(cu\w+, (\w+)\)`
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1]+m[2])
		}
	}
	return names
}

// TestNothing checks that every function that is declared is there, and may be
// called with nothing in its arguments.
func TestNothing(t *testing.T) {
	names := declared(t)
	if len(names) < 250 {
		t.Fatalf("%d functions are declared in shim/abi; at least 250 were expected", len(names))
	}
	cc, lib := sanitizer(t, memory)
	play(t, cc, lib, memory, "nothing", nil, names...)
}

// TestDriver runs all programs against the driver as people use it.
func TestDriver(t *testing.T) {
	cc := compiler(t)
	lib := build(t, cc, "")
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) { play(t, cc, lib, "", p.name, p.env) })
	}
}

// sanitizer builds the driver with a sanitizer, where the compiler has it.
func sanitizer(t *testing.T, flags string) (cc, lib string) {
	t.Helper()
	cc = compiler(t)
	probe := filepath.Join(t.TempDir(), "probe")
	cmd := exec.CommandContext(t.Context(), cc, append(strings.Fields(flags), "-x", "c", "-o", probe, "-")...)
	cmd.Stdin = strings.NewReader("int main(void) { return 0; }\n")
	if err := cmd.Run(); err != nil {
		t.Skipf("%s has no sanitizers here: %v", cc, err)
	}
	return cc, build(t, cc, flags)
}

// TestSanitized runs them with checks of each access to memory and of
// undefined behaviour, in the driver and in the programs.
func TestSanitized(t *testing.T) {
	cc, lib := sanitizer(t, memory)
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) { play(t, cc, lib, memory, p.name, append(p.env, p.slow...)) })
	}
}

// TestThreads runs what has threads with a check of what they share.
func TestThreads(t *testing.T) {
	const flags = "-g -O1 -fsanitize=thread"
	cc, lib := sanitizer(t, flags)
	for _, name := range []string{"order", "data"} {
		t.Run(name, func(t *testing.T) { play(t, cc, lib, flags, name, nil) })
	}
}

// TestOwnCalls checks that the driver does not look up its own functions when
// it runs: a shadow with the same names would be called instead, by itself.
func TestOwnCalls(t *testing.T) {
	readelf, err := exec.LookPath("readelf")
	if err != nil {
		t.Skip("no readelf here: install binutils to check how the driver is linked")
	}
	lib := build(t, compiler(t), "")
	out, err := exec.CommandContext(t.Context(), readelf, "-rW", filepath.Join(lib, "libcuda.so.1")).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && strings.HasPrefix(fields[4], "cu") {
			t.Errorf("%s is bound when the library is loaded; it should be bound when it is built", fields[4])
		}
	}
}
