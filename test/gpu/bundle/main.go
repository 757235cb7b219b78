// Command bundle builds what test/gpu/check takes to a machine with a GPU, where
// there may be neither Go nor a C compiler: the agent, the shim, the simulated
// driver and the programs that try them.
//
//	make gpu-bundle
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/weir-gpu/weir/shim/build"
)

// programs are those of C, with their sources as seen from the shim's folder.
var programs = map[string][]string{
	"burn":       {"../test/machine/program/burn.c"},
	"hold":       {"../test/machine/program/hold.c"},
	"keep":       {"../test/machine/program/keep.c"},
	"family":     {"../test/gpu/program/family.c", "test/c/families.c"},
	"cost":       {"../test/gpu/program/cost.c"},
	"checkpoint": {"../test/gpu/program/checkpoint.c"},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: bundle FOLDER")
		os.Exit(2)
	}
	if err := bundle(os.Args[1], "-trimpath", "-ldflags", "-s -w"); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

// bundle fills a folder. Go's programs are built with the flags.
func bundle(dir string, flags ...string) error {
	_, sim, err := build.Machine(dir)
	if err != nil {
		return err
	}
	libraries := []string{filepath.Join(sim, "libcuda.so.1"), filepath.Join(sim, "libnvidia-ml.so.1")}
	for name, sources := range programs {
		linked := libraries
		if name == "checkpoint" {
			linked = nil // it is not to be found beside the driver that it tries
		}
		if err := build.Program(filepath.Join(dir, name), build.Plain, linked, sources...); err != nil {
			return err
		}
	}
	return errors.Join(
		compile(filepath.Join(dir, "weir"), "./cmd/weir", flags),
		compile(filepath.Join(dir, "bench-node"), "./test/bench/node", flags),
	)
}

func compile(out, pkg string, flags []string) error {
	cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), pkg)...)
	cmd.Dir = filepath.Dir(build.Source())
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, said)
	}
	return nil
}
