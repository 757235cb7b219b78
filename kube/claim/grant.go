package claim

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

type quantities = map[resourcev1.QualifiedName]resource.Quantity

// ErrTaken is wrapped by errors about claims that hold something else already.
var ErrTaken = errors.New("is allocated already")

// Grant writes what was granted to a pod into copies of its claims: allocation
// and reservation, to be sent in one status update each. The devices go to the
// claims' requests in order. Claims that hold just that already are returned
// as they are.
func Grant(pod *corev1.Pod, claims []*resourcev1.ResourceClaim, g sched.Grant) ([]*resourcev1.ResourceClaim, error) {
	granted := make([]*resourcev1.ResourceClaim, len(claims))
	left := g.Devices
	for i, c := range claims {
		n := count(c)
		if n > len(left) {
			return nil, fmt.Errorf("claim %s/%s asks for %d devices and %d are granted; "+
				"make the grant again from the claim", c.Namespace, c.Name, n, len(left))
		}
		var err error
		if granted[i], err = allocated(pod, c, g.Node, left[:n]); err != nil {
			return nil, err
		}
		left = left[n:]
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("pod %s/%s is granted %d devices more than its claims ask for; "+
			"make the grant again from the claims", pod.Namespace, pod.Name, len(left))
	}
	return granted, nil
}

func allocated(pod *corev1.Pod, c *resourcev1.ResourceClaim, node string, shares []sched.Share) (
	*resourcev1.ResourceClaim, error,
) {
	for _, r := range c.Status.ReservedFor {
		if r.UID != pod.UID {
			return nil, fmt.Errorf("claim %s/%s %w: it is reserved for %s %s; "+
				"delete that first, or give the pod its own claim", c.Namespace, c.Name, ErrTaken, r.Resource, r.Name)
		}
	}
	a := Allocation(c, node, shares)
	if old := c.Status.Allocation; old != nil {
		old = old.DeepCopy()
		old.AllocationTimestamp = nil
		if !equality.Semantic.DeepEqual(old, a) {
			return nil, fmt.Errorf("claim %s/%s %w otherwise; delete the pod, so that it gets a new claim",
				c.Namespace, c.Name, ErrTaken)
		}
		if len(c.Status.ReservedFor) > 0 {
			return c, nil
		}
		a = c.Status.Allocation
	}
	c = c.DeepCopy()
	c.Status.Allocation = a
	c.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{
		{Resource: "pods", Name: pod.Name, UID: pod.UID},
	}
	return c, nil
}

// count is how many devices a claim asks for.
func count(c *resourcev1.ResourceClaim) int {
	n := 0
	for i := range c.Spec.Devices.Requests {
		n += requestCount(&c.Spec.Devices.Requests[i])
	}
	return n
}

func requestCount(r *resourcev1.DeviceRequest) int {
	if r.Exactly == nil {
		return 0
	}
	return max(1, int(r.Exactly.Count))
}

// Allocation returns the allocation of shares on a node to the claim's
// requests, in order. There have to be as many shares as the claim asks for.
func Allocation(c *resourcev1.ResourceClaim, node string, shares []sched.Share) *resourcev1.AllocationResult {
	a := &resourcev1.AllocationResult{NodeSelector: onNode(node)}
	next := 0
	for i := range c.Spec.Devices.Requests {
		r := &c.Spec.Devices.Requests[i]
		for range requestCount(r) {
			a.Devices.Results = append(a.Devices.Results, result(c.UID, r.Name, node, shares[next]))
			next++
		}
	}
	for _, config := range c.Spec.Devices.Config {
		a.Devices.Config = append(a.Devices.Config, resourcev1.DeviceAllocationConfiguration{
			Source:              resourcev1.AllocationConfigSourceClaim,
			Requests:            config.Requests,
			DeviceConfiguration: *config.DeviceConfiguration.DeepCopy(),
		})
	}
	if limits, ok := limitsOf(shares); ok {
		a.Devices.Config = append(a.Devices.Config, resourcev1.DeviceAllocationConfiguration{
			Source:              resourcev1.AllocationConfigSourceClaim,
			DeviceConfiguration: opaque(limits),
		})
	}
	return a
}

// result is one share in an allocation. Its ID follows from the claim and the
// device, so that writing a grant twice writes the same.
func result(claim types.UID, request, node string, s sched.Share) resourcev1.DeviceRequestAllocationResult {
	return resourcev1.DeviceRequestAllocationResult{
		Request: request,
		Driver:  ask.Driver,
		Pool:    node,
		Device:  s.Device,
		ShareID: new(types.UID(named(string(claim), s.Device))),
		ConsumedCapacity: quantities{
			ask.CapacityMemory:  memoryQuantity(s.MemoryMiB),
			ask.CapacityCompute: computeQuantity(s.ComputeMilli),
		},
	}
}

// onNode selects one node by its name.
func onNode(node string) *corev1.NodeSelector {
	return &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchFields: []corev1.NodeSelectorRequirement{{
			Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}},
	}}}
}
