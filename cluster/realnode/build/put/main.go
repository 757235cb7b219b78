// Command put builds into a folder what weir up --real-node needs beside the
// program: kubelet and containerd.
//
//	go run ./cluster/realnode/build/put bin/node
package main

import (
	"fmt"
	"os"

	"github.com/weir-gpu/weir/cluster/realnode/build"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: put FOLDER")
		os.Exit(2)
	}
	if err := build.Tools(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "put:", err)
		os.Exit(1)
	}
}
