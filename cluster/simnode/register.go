package simnode

import (
	"context"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Register makes the cluster's simulated nodes the ones of the options, if
// those name any. Run does so by itself; without Run the nodes have no kubelets.
func (f *Fleet) Register(ctx context.Context) error {
	if f.opts.Nodes == nil {
		return f.adopt(ctx)
	}
	nodes := f.client.CoreV1().Nodes()
	list, err := nodes.List(ctx, metav1.ListOptions{LabelSelector: Label + "=true"})
	if err != nil {
		return err
	}
	old := make(map[string]*corev1.Node, len(list.Items))
	for i := range list.Items {
		old[list.Items[i].Name] = &list.Items[i]
	}
	if err := f.ensureClass(ctx); err != nil {
		return err
	}
	published, err := f.published(ctx)
	if err != nil {
		return err
	}
	err = each(f.opts.Workers, f.opts.Nodes, func(s Spec) error {
		node, err := f.registerNode(ctx, s, old[s.Name])
		if err != nil {
			return err
		}
		return f.publish(ctx, s, node, published)
	})
	if err != nil {
		return err
	}
	for _, s := range f.opts.Nodes {
		delete(old, s.Name)
	}
	return each(f.opts.Workers, slices.Sorted(maps.Keys(old)), func(name string) error {
		return ignoreGone(nodes.Delete(ctx, name, metav1.DeleteOptions{}))
	})
}

// adopt takes over the nodes of an earlier run. One that was stopped then is up
// again: who stopped it is gone, and could not start it.
func (f *Fleet) adopt(ctx context.Context) error {
	list, err := f.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: Label + "=true"})
	if err != nil {
		return err
	}
	return each(f.opts.Workers, list.Items, func(node corev1.Node) error {
		if ready(&node) && node.Status.DaemonEndpoints == f.endpoint() {
			return nil
		}
		return ignoreGone(f.updateNode(ctx, node.Name, f.revive))
	})
}

// revive lets a node report that it is up.
func (f *Fleet) revive(node *corev1.Node) {
	node.Status.Conditions = conditions(corev1.ConditionTrue, f.opts.Now())
	node.Status.Addresses = addresses(node.Name)
	node.Status.DaemonEndpoints = f.endpoint()
}

func (f *Fleet) registerNode(ctx context.Context, s Spec, old *corev1.Node) (*corev1.Node, error) {
	nodes := f.client.CoreV1().Nodes()
	want := s.node(f.opts.Now())
	want.Status.DaemonEndpoints = f.endpoint()
	if old == nil {
		node, err := nodes.Create(ctx, want, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return node, err
		}
		if old, err = nodes.Get(ctx, s.Name, metav1.GetOptions{}); err != nil {
			return nil, err
		}
	}
	if !covers(old.Labels, want.Labels) {
		next := old.DeepCopy()
		if next.Labels == nil {
			next.Labels = map[string]string{}
		}
		maps.Copy(next.Labels, want.Labels)
		var err error
		if old, err = nodes.Update(ctx, next, metav1.UpdateOptions{}); err != nil {
			return nil, err
		}
	}
	if ready(old) && old.Status.DaemonEndpoints == want.Status.DaemonEndpoints &&
		equality.Semantic.DeepEqual(old.Status.Allocatable, want.Status.Allocatable) {
		return old, nil
	}
	next := old.DeepCopy()
	next.Status = want.Status
	return nodes.UpdateStatus(ctx, next, metav1.UpdateOptions{})
}

func ready(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// covers reports whether all of want is in have.
func covers(have, want map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

// each calls do for every item, several at once, and returns the first error.
func each[T any](workers int, items []T, do func(T) error) error {
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
		work  = make(chan T)
		stop  = make(chan struct{})
	)
	for range workers {
		wg.Go(func() {
			for item := range work {
				if err := do(item); err != nil {
					once.Do(func() { first = err; close(stop) })
				}
			}
		})
	}
feed:
	for _, item := range items {
		select {
		case work <- item:
		case <-stop:
			break feed
		}
	}
	close(work)
	wg.Wait()
	return first
}
