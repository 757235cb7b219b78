package kill

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/weir-gpu/weir/kube/ask"
)

// place is something that can be granted up to an amount: "memory" of device
// "n1/gpu-0", or "nvidia.com/gpu" of node "n1".
type place struct{ owner, resource string }

// ledger adds up what is granted at one moment.
type ledger struct {
	capacity map[place]int64
	used     map[place]int64
	held     map[string]map[place]int64 // by object
}

func newLedger(capacity map[place]int64) *ledger {
	return &ledger{capacity: capacity, used: map[place]int64{}, held: map[string]map[place]int64{}}
}

// set notes what an object holds now, and says where that is too much.
func (l *ledger) set(object string, holds map[place]int64) error {
	for p, n := range l.held[object] {
		l.used[p] -= n
	}
	l.held[object] = holds
	var over []string
	for p, n := range holds {
		l.used[p] += n
		if has, known := l.capacity[p]; known && l.used[p] > has {
			over = append(over, fmt.Sprintf("%s of %s: %d are granted of %d", p.resource, p.owner, l.used[p], has))
		}
	}
	if over == nil {
		return nil
	}
	slices.Sort(over)
	return fmt.Errorf("over-granted with %s: %s", object, strings.Join(over, "; "))
}

// capacities returns what nodes and devices have.
func capacities(nodes []corev1.Node, resourceSlices []resourcev1.ResourceSlice) map[place]int64 {
	has := map[place]int64{}
	for i := range nodes {
		for name, q := range nodes[i].Status.Allocatable {
			has[place{nodes[i].Name, string(name)}] = q.MilliValue()
		}
	}
	for i := range resourceSlices {
		s := &resourceSlices[i].Spec
		for _, d := range s.Devices {
			for name, c := range d.Capacity {
				has[place{s.Pool.Name + "/" + d.Name, string(name)}] = c.Value.Value()
			}
		}
	}
	return has
}

// podHolds returns what a pod takes of its node. The GPUs of a node without
// allocatable ones are in claims.
func podHolds(pod *corev1.Pod) map[place]int64 {
	if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil
	}
	holds := map[place]int64{{pod.Spec.NodeName, string(corev1.ResourcePods)}: 1000}
	for _, c := range pod.Spec.Containers {
		for name, q := range c.Resources.Requests {
			holds[place{pod.Spec.NodeName, string(name)}] += q.MilliValue()
		}
	}
	return holds
}

// claimHolds returns what a claim takes of devices. An amount that is not
// written is the whole device, which capacity tells.
func claimHolds(c *resourcev1.ResourceClaim, capacity map[place]int64) (map[place]int64, error) {
	if c.Status.Allocation == nil {
		return nil, nil
	}
	holds := map[place]int64{}
	var errs []error
	for _, r := range c.Status.Allocation.Devices.Results {
		for _, name := range []string{ask.CapacityMemory, ask.CapacityCompute} {
			p := place{r.Pool + "/" + r.Device, name}
			has, known := capacity[p]
			if !known {
				errs = append(errs, fmt.Errorf("claim %s holds %s, which does not exist", c.Name, p.owner))
			}
			if q, written := r.ConsumedCapacity[resourcev1.QualifiedName(name)]; written {
				has = q.Value()
			}
			holds[p] += has
		}
	}
	return holds, errors.Join(errs...)
}
