package claim

import (
	"errors"
	"fmt"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// Known looks up a device of a node.
type Known func(node, device string) (sched.Device, bool)

// Held reads what a claim holds of Weir's devices: a node and shares of its
// devices, as [Grant] wrote them or as another scheduler did. ok is false when
// it holds nothing of them.
//
// Allocations edited by hand are read to the safe side: a share whose amount
// is missing or makes no sense counts as the whole device, which known tells
// the size of (it may be nil), and the error says what is odd.
func Held(c *resourcev1.ResourceClaim, known Known) (g sched.Grant, ok bool, err error) {
	a := c.Status.Allocation
	if a == nil {
		return sched.Grant{}, false, nil
	}
	limits, err := readLimits(a.Devices.Config)
	errs := []error{err}
	for _, r := range Results(c) {
		if g.Node == "" {
			g.Node = r.Pool
		}
		if r.Pool != g.Node {
			errs = append(errs, fmt.Errorf("device %s is of node %s, the others of %s", r.Device, r.Pool, g.Node))
			continue
		}
		s, err := held(r, known)
		errs = append(errs, err)
		limits.apply(&s)
		g.Devices = append(g.Devices, s)
	}
	if err := errors.Join(errs...); err != nil {
		return g, len(g.Devices) > 0, fmt.Errorf("the allocation of claim %s/%s was not written by Weir (%w); "+
			"delete the pods that hold it to have it made anew", c.Namespace, c.Name, err)
	}
	return g, len(g.Devices) > 0, nil
}

// Results are the parts of a claim's allocation that hold something of Weir's
// devices: the shares that [Held] reads, in order.
func Results(c *resourcev1.ResourceClaim) (list []*resourcev1.DeviceRequestAllocationResult) {
	if c.Status.Allocation == nil {
		return nil
	}
	for i := range c.Status.Allocation.Devices.Results {
		r := &c.Status.Allocation.Devices.Results[i]
		if r.Driver == ask.Driver && (r.AdminAccess == nil || !*r.AdminAccess) {
			list = append(list, r)
		}
	}
	return list
}

// held reads one share of an allocation.
func held(r *resourcev1.DeviceRequestAllocationResult, known Known) (sched.Share, error) {
	s := sched.Share{Device: r.Device}
	memory, err := consumed(r, ask.CapacityMemory)
	if err != nil {
		return whole(r, known), err
	}
	compute, err := consumed(r, ask.CapacityCompute)
	if err != nil {
		return whole(r, known), err
	}
	s.MemoryMiB = memory / mib
	if memory%mib > 0 {
		s.MemoryMiB++
	}
	s.ComputeMilli = compute
	return s, nil
}

func consumed(r *resourcev1.DeviceRequestAllocationResult, name resourcev1.QualifiedName) (int64, error) {
	q, ok := r.ConsumedCapacity[name]
	if !ok {
		return 0, fmt.Errorf("device %s has no consumedCapacity %s", r.Device, name)
	}
	if v := q.Value(); v >= 0 && q.Cmp(*resource.NewQuantity(v, q.Format)) <= 0 {
		return v, nil
	}
	return 0, fmt.Errorf("device %s has consumedCapacity %s %s", r.Device, name, q.String())
}

// whole is the share that is a whole device.
func whole(r *resourcev1.DeviceRequestAllocationResult, known Known) sched.Share {
	s := sched.Share{Device: r.Device, ComputeMilli: sched.WholeCompute}
	if known == nil {
		return s
	}
	if d, ok := known(r.Pool, r.Device); ok {
		s.MemoryMiB, s.ComputeMilli = d.MemoryMiB, d.ComputeMilli
	}
	return s
}
