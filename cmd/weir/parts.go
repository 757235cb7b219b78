package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-gpu/weir/cli"
	"github.com/weir-gpu/weir/cli/local"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/fitness"
	"github.com/weir-gpu/weir/kube/plan"
	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/sched"
)

// parts are the rooms behind the commands.
func parts() cli.Parts {
	return cli.Parts{
		Connect:         cli.Connect,
		Snapshot:        look,
		Plan:            foresee,
		LocalKubeconfig: localKubeconfig,
		Up:              local.Up,
		Scheduler:       schedule,
		Agent:           share,
		Exec:            become,
	}
}

// look reads a cluster with the translator, the node fitness and the engine of
// the live scheduler.
func look(ctx context.Context, c cli.Clients, now time.Time) (*snapshot.View, error) {
	book, err := fitness.New(c.Kube, ask.FitKey)
	if err != nil {
		return nil, err
	}
	return snapshot.Reader{
		Kube: c.Kube, Dynamic: c.Dynamic, Weir: c.Weir,
		State:  state.Config{Book: book, NodeClass: fitness.NodeClass},
		Engine: sched.Config{Fitness: book},
	}.Read(ctx, now)
}

// foresee plans with objects from files.
func foresee(_ context.Context, o cli.PlanOptions) (*plan.Result, error) {
	input, err := plan.Read(o.Files, o.In)
	if err != nil {
		return nil, err
	}
	return input.Run(o.Now)
}

// localKubeconfig is that of the cluster which `weir up` started last.
func localKubeconfig() string {
	dir, err := cluster.StateDir(cluster.DefaultName)
	if err != nil {
		return "" // no home directory: then there is none
	}
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*", "kubeconfig")) // the pattern is valid
	last, at := "", time.Time{}
	for _, path := range found {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(at) {
			last, at = path, info.ModTime()
		}
	}
	return last
}
