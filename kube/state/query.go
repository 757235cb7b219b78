package state

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// Pod is what is known of a pod.
type Pod struct {
	Object   *corev1.Pod // the last that was seen of it
	Workload string      // ID; "" when it is not Weir's
	Told     bool        // the engine knows it as a pod to schedule
	// Grant is what it holds, nil when it waits. A pod that holds a grant and
	// is not bound was interrupted in between: binding it is all that is left.
	Grant *sched.Grant
	// Claims are those that hold its devices, as "namespace/name".
	Claims  []string
	Problem error // why it cannot be placed, or what is odd about its place
}

// Pod returns what is known of a pod.
func (s *State) Pod(id string) (Pod, bool) {
	p := s.pods[id]
	if p == nil {
		return Pod{}, false
	}
	out := Pod{Object: p.obj, Workload: p.group, Told: p.told.workload != "", Problem: p.problem}
	_, out.Claims, _ = s.holding(p.obj.UID)
	if p.told.granted {
		grant := p.told.grant
		out.Grant = &grant
	}
	return out, true
}

// Workload is what is known of a workload.
type Workload struct {
	Spec sched.Workload
	// Root is the object that the workload was made by; its Kind is "" where
	// that is the pod itself.
	Root workload.Ref
	// Object is the root as it is in the API, or the pod; nil when it was not
	// seen. Events are about it.
	Object  metav1.Object
	Project string
	Pods    []string // in order
	Problem error    // why its waiting pods cannot be placed
}

// Workload returns what is known of a workload.
func (s *State) Workload(id string) (Workload, bool) {
	g := s.groups[id]
	if g == nil || len(g.members) == 0 {
		return Workload{}, false
	}
	out := Workload{Spec: g.spec, Root: g.root, Project: g.project, Pods: slices.Clone(g.members), Problem: g.err}
	if g.root == (workload.Ref{}) {
		out.Object = s.pods[g.members[0]].obj
	} else if r := s.roots[g.root]; r.obj != nil {
		out.Object = r.obj
	}
	if out.Problem == nil && g.project == "" {
		out.Problem = errNoProject(g.space)
	}
	return out, true
}

// Workloads returns the IDs of all workloads, in order.
func (s *State) Workloads() []string {
	ids := make([]string, 0, len(s.groups))
	for id := range s.groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Rules returns the rules in force.
func (s *State) Rules() *workload.Rules { return s.rules }
