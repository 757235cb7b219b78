// Package build compiles the shim, and programs that try it, with the C
// compiler of the machine ($CC, or cc). It is the one place that knows how.
package build

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Check is a kind of build: with or without checks that the compiler puts in.
type Check string

// The kinds of build.
const (
	Plain   Check = ""
	Address Check = "address,undefined"
	Thread  Check = "thread"
)

// The shim's sources, for each of its two libraries.
var (
	process = []string{"self.c", "connect.c", "members.c", "ledger.c"}
	driver  = []string{"arena.c", "arrays.c", "async.c", "contexts.c", "copies.c", "driver.c", "estimate.c", "gate.c",
		"graphs.c", "launch.c", "marks.c", "memory.c", "mover.c", "pieces.c", "pointers.c", "pools.c", "promise.c", "queue.c",
		"real.c", "region.c", "regions.c", "swap.c", "table.c", "vmm.c"}
	nvml = []string{"nvml.c", "processes.c"}
)

// Source is the folder of the shim's sources: this package's is within it.
func Source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
}

// Compiler is the C compiler.
func Compiler() string {
	if cc := os.Getenv("CC"); cc != "" {
		return cc
	}
	return "cc"
}

// Flags are those of every compilation: warnings are errors.
func Flags(check Check) []string {
	flags := []string{"-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O2", "-g", "-fPIC", "-pthread",
		"-fvisibility=hidden", "-I", Source()}
	if check != Plain {
		flags = append(flags, "-fsanitize="+string(check), "-fno-omit-frame-pointer")
	}
	return flags
}

// Shim puts libcuda.so.1 and libnvidia-ml.so.1 into a folder. Their one
// dependency of that kind is the real library, in the folder `driver` in there,
// wherever the folder is when they are loaded.
func Shim(folder string, check Check) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return errors.Join(
		shadow(folder, "libcuda.so.1", append(append([]string{}, process...), driver...), check),
		shadow(folder, "libnvidia-ml.so.1", append(append([]string{}, process...), nvml...), check),
	)
}

// Sim puts the simulated driver into a folder.
func Sim(folder string, check Check) error {
	cmd := exec.Command("sh", filepath.Join(Source(), "sim", "build.sh"), folder)
	cmd.Env = append(os.Environ(), "CC="+Compiler())
	if check != Plain {
		cmd.Env = append(cmd.Env, "CFLAGS=-g -fsanitize="+string(check)+" -fno-omit-frame-pointer")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("shim/sim/build.sh: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Machine puts into a folder what an agent needs beside it: `shim`, with the
// program that asks a driver for its devices, and `sim`.
func Machine(folder string) (shim, sim string, err error) {
	shim, sim = filepath.Join(folder, "shim"), filepath.Join(folder, "sim")
	return shim, sim, cmp.Or(
		Shim(shim, Plain),
		Program(filepath.Join(shim, "probe"), Plain, nil, "probe.c"),
		Sim(sim, Plain),
	)
}

// shadow links one library against a stub whose name is a path: so the loader
// looks for the real one there, and not for another of the same name.
func shadow(folder, name string, sources []string, check Check) error {
	work, err := os.MkdirTemp("", "weir-shim")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	stub := filepath.Join(work, "stub.so")
	empty := filepath.Join(work, "stub.c")
	if err := os.WriteFile(empty, []byte("typedef int stub;\n"), 0o644); err != nil {
		return err
	}
	if err := run("-shared", "-fPIC", "-nostdlib", "-Wl,-soname,$ORIGIN/driver/"+name, "-o", stub, empty); err != nil {
		return err
	}
	args := append(Flags(check), "-shared", "-Wl,-soname,"+name, "-Wl,-z,nodelete", "-Wl,-Bsymbolic",
		"-o", filepath.Join(folder, name))
	for _, s := range sources {
		args = append(args, filepath.Join(Source(), s))
	}
	return run(append(args, "-Wl,--no-as-needed", stub, "-Wl,--as-needed", "-ldl")...)
}

// Program compiles a program from sources of the shim's folder. It is linked
// with the libraries named by `libraries`, which are files. A program that calls
// the driver is linked with the real one: it has all names, and the same as the
// shadow's, which is found in its place by the order of the search.
func Program(out string, check Check, libraries []string, sources ...string) error {
	args := append(Flags(check), "-o", out)
	for _, s := range sources {
		args = append(args, filepath.Join(Source(), s))
	}
	args = append(args, libraries...)
	return run(append(args, "-ldl", "-lm", "-Wl,--allow-shlib-undefined")...)
}

func run(args ...string) error {
	out, err := exec.Command(Compiler(), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", Compiler(), err, strings.TrimSpace(string(out)))
	}
	return nil
}
