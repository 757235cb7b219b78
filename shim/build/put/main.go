// Command put builds into a folder what weir agent needs beside the program:
// shim, its libraries and the program that asks a driver for its devices, and
// sim, the simulated driver.
//
//	go run ./shim/build/put bin
package main

import (
	"fmt"
	"os"

	"github.com/weir-gpu/weir/shim/build"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: put FOLDER")
		os.Exit(2)
	}
	_, _, err := build.Machine(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "put:", err)
		os.Exit(1)
	}
}
