package simnode

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/weir-gpu/weir/kube/claim"
)

// StopNode lets a node fall silent: its pods neither start nor end any more,
// and it turns NotReady at once instead of after the node controller's grace.
func (f *Fleet) StopNode(ctx context.Context, name string) error {
	f.setDown(name, true)
	return f.setReady(ctx, name, corev1.ConditionUnknown)
}

// StartNode lets a stopped node go on where it was.
func (f *Fleet) StartNode(ctx context.Context, name string) error {
	f.setDown(name, false)
	if err := f.setReady(ctx, name, corev1.ConditionTrue); err != nil {
		return err
	}
	f.wakePods(name)
	return nil
}

func (f *Fleet) setDown(name string, down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if down {
		f.down[name] = true
	} else {
		delete(f.down, name)
	}
}

func (f *Fleet) setReady(ctx context.Context, name string, status corev1.ConditionStatus) error {
	return f.updateNode(ctx, name, func(node *corev1.Node) {
		node.Status.Conditions = conditions(status, f.opts.Now())
	})
}

func (f *Fleet) updateNode(ctx context.Context, name string, change func(*corev1.Node)) error {
	nodes := f.client.CoreV1().Nodes()
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := nodes.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(node)
		_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
}

// FailGPUs lets the first n GPUs of a counted node fail, and the others work:
// the node offers fewer of them, as a vendor's device plugin would.
func (f *Fleet) FailGPUs(ctx context.Context, name string, n int) error {
	return f.updateNode(ctx, name, func(node *corev1.Node) {
		all := node.Status.Capacity[gpuResource]
		left := max(all.Value()-int64(n), 0)
		node.Status.Allocatable[gpuResource] = *resource.NewQuantity(left, resource.DecimalSI)
	})
}

// SetDevice lets a device of a node that publishes its devices fail, or work
// again. A device that failed is tainted, so that it takes no new pods.
func (f *Fleet) SetDevice(ctx context.Context, node, device string, healthy bool) error {
	if healthy {
		return f.setTaint(ctx, node, device)
	}
	return f.setTaint(ctx, node, device,
		resourceapi.DeviceTaint{Key: claim.TaintUnhealthy, Effect: resourceapi.DeviceTaintEffectNoSchedule})
}

// LoseDevice lets a device of a node that publishes its devices be lost: who runs
// there is stopped, too. SetDevice brings it back.
func (f *Fleet) LoseDevice(ctx context.Context, node, device string) error {
	return f.setTaint(ctx, node, device, claim.Lost())
}

// setTaint gives a device these taints in the place of those that say how it is.
func (f *Fleet) setTaint(ctx context.Context, node, device string, taints ...resourceapi.DeviceTaint) error {
	slices := f.client.ResourceV1().ResourceSlices()
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		ofNode := metav1.ListOptions{FieldSelector: resourceapi.ResourceSliceSelectorNodeName + "=" + node}
		list, err := slices.List(ctx, ofNode)
		if err != nil {
			return err
		}
		for i := range list.Items {
			slice := &list.Items[i]
			if !taint(slice, device, taints) {
				continue
			}
			_, err := slices.Update(ctx, slice, metav1.UpdateOptions{})
			return err
		}
		return fmt.Errorf("node %q publishes no device %q", node, device)
	})
}

// taint changes a device of a slice and reports whether the slice has it.
func taint(slice *resourceapi.ResourceSlice, device string, taints []resourceapi.DeviceTaint) bool {
	for i := range slice.Spec.Devices {
		d := &slice.Spec.Devices[i]
		if d.Name != device {
			continue
		}
		var kept []resourceapi.DeviceTaint
		for _, t := range d.Taints {
			if t.Key != claim.TaintUnhealthy && t.Key != claim.TaintLost {
				kept = append(kept, t)
			}
		}
		d.Taints = append(kept, taints...)
		return true
	}
	return false
}
