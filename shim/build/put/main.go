// Command put builds the shim into a folder: its two libraries, and the program
// that asks a driver for its devices.
//
//	go run ./shim/build/put bin/shim
package main

import (
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
	folder := os.Args[1]
	err := build.Shim(folder, build.Plain)
	if err == nil {
		err = build.Program(filepath.Join(folder, "probe"), build.Plain, nil, "probe.c")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "put:", err)
		os.Exit(1)
	}
}
