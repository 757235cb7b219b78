package state

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/workload"
)

// ruleTally is what the rule for a kind is used for.
type ruleTally struct {
	workloads int
	failing   map[workload.Ref]error
}

func (s *State) tally(ref workload.Ref) *ruleTally {
	gk := schema.GroupKind{Group: ref.Group, Kind: ref.Kind}
	t := s.tallies[gk]
	if t == nil {
		t = &ruleTally{failing: map[workload.Ref]error{}}
		s.tallies[gk] = t
	}
	return t
}

// failed notes whether the rule for an object's kind fails on it.
func (s *State) failed(ref workload.Ref, err error) {
	if t := s.tally(ref); err == nil {
		delete(t.failing, ref)
	} else {
		t.failing[ref] = err
	}
}

// RuleUse is how a WorkloadRule that compiles fares in the cluster.
type RuleUse struct {
	Name string
	Kind schema.GroupVersionKind
	// Ahead is the rule for the same kind that is in force; "" where that is
	// this one.
	Ahead string
	// Workloads is how many it groups.
	Workloads int
	// Failing is how many objects of its kind it fails on, and Failure is the
	// first of these, with why.
	Failing int
	Failure string
}

// RuleUses tells of all rules that people wrote, in order of name.
func (s *State) RuleUses() []RuleUse {
	var uses []RuleUse
	for _, rule := range s.rules.Added() {
		gk := rule.GVK.GroupKind()
		use := RuleUse{Name: rule.Name, Kind: rule.GVK}
		if ahead := s.rules.For(gk); ahead != rule {
			use.Ahead = ahead.Name
		} else if t := s.tallies[gk]; t != nil {
			use.Workloads, use.Failing = t.workloads, len(t.failing)
			use.Failure = firstOf(t.failing)
		}
		uses = append(uses, use)
	}
	return uses
}

func firstOf(failing map[workload.Ref]error) string {
	if len(failing) == 0 {
		return ""
	}
	first := slices.MinFunc(slices.Collect(maps.Keys(failing)), func(a, b workload.Ref) int {
		return strings.Compare(a.String(), b.String())
	})
	return failing[first].Error()
}

func (s *State) setRule(r *v1alpha1.WorkloadRule) {
	rule, err := workload.Compile(r)
	if err != nil {
		s.dropRule(r.Name)
		s.report("WorkloadRule", r.Name, err)
		return
	}
	s.report("WorkloadRule", r.Name, nil)
	s.rules.Set(rule)
	s.touchEverything()
}

func (s *State) dropRule(name string) {
	s.report("WorkloadRule", name, nil)
	if s.rules.Delete(name) {
		s.touchEverything()
	}
}

// touchEverything marks all pods and what they belong to: the rules changed.
func (s *State) touchEverything() {
	for id := range s.pods {
		s.dirty.pods.add(id)
	}
	for id := range s.groups {
		s.dirty.groups.add(id)
	}
	for _, r := range s.roots {
		r.stale = true
	}
	for _, t := range s.tallies {
		clear(t.failing) // found again as the objects are read anew
	}
}
