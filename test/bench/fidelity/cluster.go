package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/cluster/install"
	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/live"
	"github.com/weir-gpu/weir/sim/replay"
)

// inCluster plays in an embedded cluster that is shared by a plan: play is called
// with a client once everything runs.
func inCluster(
	ctx context.Context, p replay.Plan, log string, play func(context.Context, kubernetes.Interface) error,
) (err error) {
	logger := slog.New(slog.DiscardHandler)
	if log != "" {
		f, err := os.Create(log)
		if err != nil {
			return err
		}
		defer f.Close()
		logger = slog.New(slog.NewTextHandler(f, nil))
	}
	dir, err := os.MkdirTemp("", "weir-fidelity-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, err := cluster.Start(ctx, cluster.Options{Dir: dir, Fresh: true, UnsafeNoFsync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	kube, err := prepare(ctx, c.Config(), p)
	if err != nil {
		return err
	}
	specs, err := simnode.Shape(int(p.GPUs)/p.PerNode, p.PerNode, "P100")
	if err != nil {
		return err
	}
	for i := range specs {
		specs[i].Counted = true // jobs have whole GPUs, and a pod is bound by one write
	}
	fleet, err := simnode.New(simnode.Options{Config: c.Config(), Nodes: specs})
	if err != nil {
		return err
	}
	scheduler, err := live.New(live.Options{Config: c.Config(), Logger: logger})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	for name, part := range map[string]func(context.Context) error{"simulated nodes": fleet.Run, "scheduler": scheduler.Run} {
		running.Go(func() {
			if err := part(ctx); err != nil {
				cancel(fmt.Errorf("the %s: %w", name, err))
			}
		})
	}
	for !scheduler.Ready() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
	<-fleet.Ready()
	return play(ctx, kube)
}

// prepare gives the cluster Weir's kinds, and each owner its project and
// namespace.
func prepare(ctx context.Context, cfg *rest.Config, p replay.Plan) (kubernetes.Interface, error) {
	if err := install.Kinds(ctx, cfg); err != nil {
		return nil, err
	}
	var all install.Organisation
	for _, o := range p.Owners {
		all.Namespaces = append(all.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.Name}})
		all.Projects = append(all.Projects, &v1alpha1.Project{
			ObjectMeta: metav1.ObjectMeta{Name: o.Name},
			Spec: v1alpha1.ProjectSpec{Pools: []v1alpha1.PoolShare{{
				Name: v1alpha1.DefaultPool, Weight: &o.Weight,
				Quota: v1alpha1.Amount{GPU: resource.NewQuantity(o.Quota, resource.DecimalSI)},
			}}},
		})
	}
	if err := all.Create(ctx, cfg); err != nil {
		return nil, err
	}
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	return kubernetes.NewForConfig(cfg)
}
