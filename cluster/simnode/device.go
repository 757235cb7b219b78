package simnode

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/sched"
)

// devices returns what a node publishes through DRA.
func (s Spec) devices() []sched.Device {
	if s.Counted {
		return nil
	}
	devices := make([]sched.Device, s.GPUs)
	for i := range devices {
		devices[i] = sched.Device{
			Name: fmt.Sprintf("gpu-%d", i), Model: s.Model,
			MemoryMiB: s.MemoryMiB, ComputeMilli: sched.WholeCompute,
		}
	}
	return devices
}

// ensureClass makes the class of the devices, as the installation of a driver does.
func (f *Fleet) ensureClass(ctx context.Context) error {
	if !slices.ContainsFunc(f.opts.Nodes, func(s Spec) bool { return len(s.devices()) > 0 }) {
		return nil
	}
	_, err := f.client.ResourceV1().DeviceClasses().Create(ctx, claim.Class(), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// published returns the slices that the nodes of an earlier run left, by name.
func (f *Fleet) published(ctx context.Context) (map[string]*resourceapi.ResourceSlice, error) {
	list, err := f.client.ResourceV1().ResourceSlices().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	old := make(map[string]*resourceapi.ResourceSlice, len(list.Items))
	for i := range list.Items {
		old[list.Items[i].Name] = &list.Items[i]
	}
	return old, nil
}

// publish tells of a node's devices. The slices belong to the Node object and
// go away with it.
func (f *Fleet) publish(
	ctx context.Context, s Spec, node *corev1.Node, published map[string]*resourceapi.ResourceSlice,
) error {
	if s.Counted || s.GPUs == 0 {
		return nil
	}
	client := f.client.ResourceV1().ResourceSlices()
	for _, want := range claim.Slices(node.Name, node.UID, 1, s.devices()) {
		old := published[want.Name]
		if old == nil {
			if _, err := client.Create(ctx, want, metav1.CreateOptions{}); err != nil {
				return err
			}
			continue
		}
		generation := old.Spec.Pool.Generation
		want.Spec.Pool.Generation = generation
		if equality.Semantic.DeepEqual(want.Spec, old.Spec) &&
			equality.Semantic.DeepEqual(want.OwnerReferences, old.OwnerReferences) {
			continue
		}
		want.ResourceVersion = old.ResourceVersion
		want.Spec.Pool.Generation = generation + 1
		if _, err := client.Update(ctx, want, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}
