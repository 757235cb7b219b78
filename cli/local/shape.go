package local

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cluster/install"
	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/sched"
)

// shape returns the nodes that were asked for; nil keeps those that there are.
func (r *rooms) shape(ctx context.Context) ([]simnode.Spec, error) {
	if r.o.Replay != "" {
		return traceNodes()
	}
	if r.o.RealNode && !r.o.Shaped {
		return nil, nil
	}
	if !r.o.Shaped {
		kube, err := kubernetes.NewForConfig(r.c.Config())
		if err != nil {
			return nil, err
		}
		nodes, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil || len(nodes.Items) > 0 {
			return nil, err
		}
	}
	specs, err := simnode.Shape(r.o.Nodes, r.o.GPUs, r.o.Model)
	if err != nil {
		return nil, err
	}
	for i := range specs {
		specs[i].Counted = r.o.Counts
	}
	return specs, nil
}

// count counts what the nodes have.
func (r *rooms) count(ctx context.Context) error {
	kube, err := kubernetes.NewForConfig(r.c.Config())
	if err != nil {
		return err
	}
	nodes, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	r.nodes = len(nodes.Items)
	for i := range nodes.Items {
		n, err := resource.ParseQuantity(nodes.Items[i].Labels["nvidia.com/gpu.count"])
		if err == nil {
			r.gpus += int(n.Value())
		}
	}
	return nil
}

// teams are the projects of a cluster that has none yet.
var teams = []string{"vision", "language"}

// welcome makes the organisation: that of the trace, or two teams with half
// of the GPUs each where there is nobody yet.
func (r *rooms) welcome(ctx context.Context) error {
	if r.o.Replay != "" {
		return traceOrganisation().Create(ctx, r.c.Config())
	}
	there, err := r.projects(ctx)
	if err != nil || there > 0 {
		return err
	}
	half, err := resource.ParseQuantity(quantity.GPUs(int64(r.gpus) * sched.GPU / int64(len(teams))))
	if err != nil {
		return err
	}
	var o install.Organisation
	for _, team := range teams {
		o.Namespaces = append(o.Namespaces, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team}})
		o.Projects = append(o.Projects, &v1alpha1.Project{
			ObjectMeta: metav1.ObjectMeta{Name: team},
			Spec: v1alpha1.ProjectSpec{Pools: []v1alpha1.PoolShare{{
				Name: v1alpha1.DefaultPool, Quota: v1alpha1.Amount{GPU: &half},
			}}},
		})
	}
	return o.Create(ctx, r.c.Config())
}

// projects counts those that there are.
func (r *rooms) projects(ctx context.Context) (int, error) {
	weir, err := watch.WeirClient(r.c.Config())
	if err != nil {
		return 0, err
	}
	var list v1alpha1.ProjectList
	if err := weir.Get().Resource("projects").Do(ctx).Into(&list); err != nil {
		return 0, fmt.Errorf("listing projects: %w", err)
	}
	return len(list.Items), nil
}
