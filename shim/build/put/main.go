// Command put builds into a folder what weir agent needs beside the program:
// shim, its libraries and the program that asks a driver for its devices, and
// sim, the simulated driver.
//
//	go run ./shim/build/put bin
package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/weir-gpu/weir/shim/build"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: put FOLDER")
		os.Exit(2)
	}
	shim, sim := filepath.Join(os.Args[1], "shim"), filepath.Join(os.Args[1], "sim")
	err := cmp.Or(
		build.Shim(shim, build.Plain),
		build.Program(filepath.Join(shim, "probe"), build.Plain, nil, "probe.c"),
		build.Sim(sim, build.Plain),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "put:", err)
		os.Exit(1)
	}
}
