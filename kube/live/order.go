package live

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/bind"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/kube/crew"
)

// order says what has to be written for a flight. It is nil while a claim is
// missing. release gives back what was reserved.
func (l *loop) order(f *flight) (order *bind.Order, release func(), err error) {
	pod, grant := f.pod, f.decision.Grant
	order = &bind.Order{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Node: grant.Node, Verify: f.adopted}
	if len(grant.Devices) > 0 && !l.nodes[grant.Node].Counted {
		if ok, err := l.addClaims(order, f); !ok || err != nil {
			return nil, nil, err
		}
	}
	volumes, err := l.book.Reserve(f.decision.Pod, grant.Node)
	if err != nil {
		return nil, nil, err
	}
	if volumes == nil {
		return order, func() {}, nil
	}
	order.Prepare = volumes.Bind
	return order, volumes.Release, nil
}

// addClaims adds the allocations of exact devices to an order. It reports
// whether all claims are there.
func (l *loop) addClaims(order *bind.Order, f *flight) (bool, error) {
	pod, grant := f.pod, f.decision.Grant
	if len(pod.Spec.ResourceClaims) == 0 {
		made, mappings := claim.Extended(pod)
		made.GenerateName, made.Name = "", extendedName(pod)
		order.Extended = &bind.Extended{
			Claim: made,
			Allocation: func(made *resourcev1.ResourceClaim) *resourcev1.AllocationResult {
				return claim.Allocation(made, grant.Node, grant.Devices)
			},
			Mappings: mappings,
			Named:    pod.Status.ExtendedResourceClaimStatus != nil,
		}
		return true, nil
	}
	var claims []*resourcev1.ResourceClaim
	for i := range pod.Spec.ResourceClaims {
		name := ask.ClaimName(pod, &pod.Spec.ResourceClaims[i])
		if name == "" {
			return false, nil // the pod's status will tell
		}
		c := l.state.Claim(pod.Namespace, name)
		if c == nil {
			f.awaits = pod.Namespace + "/" + name
			l.awaited[f.awaits] = f.decision.Pod
			return false, nil
		}
		claims = append(claims, c)
	}
	granted, err := claim.Grant(pod, claims, grant)
	if err != nil {
		return false, err
	}
	for i, c := range claims {
		order.Claims = append(order.Claims, bind.Claim{Known: c, Allocation: granted[i].Status.Allocation})
	}
	return true, nil
}

// extendedName is the name of the claim for a pod's extended resources. It
// follows from the pod, so that there is never a second.
func extendedName(pod *corev1.Pod) string {
	uid := string(pod.UID)
	suffix := "-gpus-" + uid[:min(len(uid), 8)]
	return pod.Name[:min(len(pod.Name), 253-len(suffix))] + suffix
}

// freeOrphan takes the allocation off a claim that nobody holds: the pod that
// it was made for is gone, and kube-controller-manager clears only allocations
// of kube-scheduler's.
func (l *loop) freeOrphan(c *resourcev1.ResourceClaim) {
	if c.Status.Allocation == nil || len(c.Status.ReservedFor) > 0 || c.DeletionTimestamp != nil {
		return
	}
	if _, ours, _ := claim.Held(c, nil); !ours || l.inUse(c) {
		return
	}
	l.log.Info("freeing a claim that nobody holds", "claim", c.Namespace+"/"+c.Name)
	l.crew.Add(crew.Evict, func(ctx context.Context) {
		if err := l.binder.Free(ctx, c, ""); err != nil && ctx.Err() == nil {
			l.log.Warn("a claim that nobody holds was not freed", "claim", c.Namespace+"/"+c.Name, "error", err)
		}
	})
}

// inUse reports whether the pod that a claim was made for runs: then somebody
// took the reservation away by hand, and the devices are not free.
func (l *loop) inUse(c *resourcev1.ResourceClaim) bool {
	owner := metav1.GetControllerOf(c)
	if owner == nil || owner.Kind != "Pod" {
		return false
	}
	p, ok := l.state.Pod(c.Namespace + "/" + owner.Name)
	return ok && p.Object.UID == owner.UID && p.Object.Spec.NodeName != ""
}
