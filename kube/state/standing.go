package state

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// kindOf returns what a workload is for and whether it may be taken back. What
// nothing would make anew is never taken back unless it says so itself.
func (s *State) kindOf(g *group, words ask.Words, lead metav1.Object) (sched.Kind, bool) {
	rule := s.ruleFor(g.root)
	if rule == nil {
		rule = s.rules.For(workload.PodKind)
	}
	kind := rule.Kind
	if words.Kind != "" {
		kind = words.Kind
	}
	preemptible := kind == sched.Train
	if rule.Preemptible != nil && words.Kind == "" {
		preemptible = *rule.Preemptible
	}
	if _, controlled := workload.ControllerOf(lead); !controlled {
		preemptible = false
	}
	return kind, or(words.Preemptible, preemptible)
}

var kindPriority = map[sched.Kind]int32{sched.Infer: 125, sched.Build: 100, sched.Train: 50}

// KindPriority is the priority of workloads that name none.
func KindPriority(kind sched.Kind) int32 { return kindPriority[kind] }

// priorityOf returns a workload's priority: its own word, else what its root
// says, else that of its pods' PriorityClass, else what its kind has.
func (s *State) priorityOf(
	id string, g *group, words ask.Words, facts workload.Facts, podClass string, podPriority *int32, kind sched.Kind,
) int32 {
	class := facts.PriorityClass
	if class == "" && podPriority == nil {
		class = podClass
	}
	if class != g.class {
		if g.class != "" {
			unlink(s.byClass, g.class, id)
		}
		if class != "" {
			link(s.byClass, class, id)
		}
		g.class = class
	}
	value, exists := s.classes[class]
	switch {
	case words.Priority != nil:
		return *words.Priority
	case facts.Priority != nil:
		return *facts.Priority
	case facts.PriorityClass != "" && exists:
		return value
	case podClass != "" && podPriority != nil:
		return *podPriority
	case podClass != "" && exists:
		return value
	}
	return KindPriority(kind)
}
