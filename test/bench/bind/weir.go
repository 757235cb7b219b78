package main

import (
	"context"
	"fmt"
	"log/slog"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cluster/install"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/live"
)

func init() {
	subjects["weir"] = subject{schedulerName: ask.SchedulerName, scheduler: weir{}, prepare: shareOut}
}

// weir is the live scheduler of `weir up`.
type weir struct{}

func (weir) Run(ctx context.Context, cfg *rest.Config) error {
	s, err := live.New(live.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// shareOut gives all GPUs of the cluster to one project and none to the other.
func shareOut(ctx context.Context, b *bench) error {
	if err := install.Kinds(ctx, b.config); err != nil {
		return err
	}
	project := func(name string, gpus int) *v1alpha1.Project {
		quota := resource.MustParse(fmt.Sprint(gpus))
		return &v1alpha1.Project{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: v1alpha1.ProjectSpec{Pools: []v1alpha1.PoolShare{{
				Name: "default", Quota: v1alpha1.Amount{GPU: &quota},
			}}},
		}
	}
	all := install.Organisation{Projects: []*v1alpha1.Project{project(rich, b.Nodes*b.GPUs), project(borrower, 0)}}
	return all.Create(ctx, b.config)
}
