// Command weir shares the GPUs of a Kubernetes cluster: it submits work and
// explains why it waits, runs the scheduler, and runs a whole cluster with
// simulated GPUs. As kubectl-weir it is a plugin of kubectl.
//
// This package only puts the parts together; package cli is the command.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/weir-gpu/weir/cli"
	"github.com/weir-gpu/weir/cluster/realnode"
)

func main() {
	realnode.Become() // weir up --real-node starts this program again
	// Kubernetes' libraries register flags of their own, which cobra would
	// offer on every command.
	pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
	os.Exit(run())
}

// run ends at the first Ctrl-C in order, and at the second at once.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return cli.Main(ctx, parts(), os.Args, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}
