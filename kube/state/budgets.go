package state

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// budget is a PodDisruptionBudget, as far as it keeps pods where they are.
type budget struct {
	text     string // of the selector
	selector labels.Selector
	spent    bool // it allows no disruption now
}

func (s *State) setBudget(o *policyv1.PodDisruptionBudget) {
	selector, err := metav1.LabelSelectorAsSelector(o.Spec.Selector)
	s.report("PodDisruptionBudget", claimKey(o.Namespace, o.Name), err)
	if err != nil {
		selector = labels.Nothing()
	}
	s.replaceBudget(o.Namespace, o.Name, &budget{
		text: selector.String(), selector: selector, spent: o.Status.DisruptionsAllowed <= 0,
	})
}

func (s *State) dropBudget(o *policyv1.PodDisruptionBudget) {
	s.report("PodDisruptionBudget", claimKey(o.Namespace, o.Name), nil)
	s.replaceBudget(o.Namespace, o.Name, nil)
}

// replaceBudget marks the pods of the namespace when the change can matter to
// them: most changes are of counts only.
func (s *State) replaceBudget(namespace, name string, next *budget) {
	n := s.namespace(namespace)
	old, had := n.budgets[name]
	if next == nil {
		delete(n.budgets, name)
	} else {
		n.budgets[name] = *next
	}
	if had == (next != nil) && (!had || old.text == next.text && old.spent == next.spent) {
		return
	}
	for id := range n.pods {
		s.dirty.pods.add(id)
	}
}

// keepInPlace notes whether a budget forbids to move a pod just now, and so
// its workload, which is to be the group of that ID.
func (s *State) keepInPlace(id string, p *pod, to string) {
	kept := false
	for _, b := range s.namespace(p.obj.Namespace).budgets {
		kept = kept || b.spent && b.selector.Matches(labels.Set(p.obj.Labels))
	}
	if kept == p.kept {
		return
	}
	p.kept = kept
	g := s.groups[p.group]
	if g == nil || p.group != to {
		return // it is told of where the pod goes
	}
	if kept {
		g.kept.add(id)
	} else {
		g.kept.remove(id)
	}
	s.dirty.groups.add(p.group)
}
