package state

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/past"
)

// group is a workload: pods of one root that start together.
type group struct {
	root    workload.Ref // the zero Ref for a pod on its own
	name    string       // of the gang in its root, "" when that is one gang
	space   string       // namespace
	members []string     // pods, in order of ID; the first speaks for all

	spec    sched.Workload
	project string
	class   string // PriorityClass that was looked up
	err     error  // why its pods cannot be placed

	inquires past.Kind // what it has to know the expected time of

	known set[string] // members that the engine was told of
	kept  set[string] // members that a disruption budget keeps in place
	told  *sched.Workload
}

// joinGroup puts a pod into the workload that it belongs to now.
func (s *State) joinGroup(id string) {
	p := s.pods[id]
	if p == nil {
		delete(s.dirty.pods, id)
		return
	}
	if held, _, _ := s.holding(p.obj.UID); !ours(p.obj) || (p.deleted || ended(p.obj)) && held.Node == "" {
		s.joinGroupOf(id, p, workload.Ref{}, "")
		return
	}
	first := s.first(p.obj)
	if first != p.first {
		s.leaveRoot(id, p)
		p.first = first
		if first != (workload.Ref{}) {
			s.root(first).pods.add(id)
			s.lookUpPod(first)
		}
	}
	if first == (workload.Ref{}) {
		s.joinGroupOf(id, p, first, workload.Ref{Kind: "Pod", Namespace: p.obj.Namespace, Name: p.obj.Name}.ID(""))
		return
	}
	top, _ := s.climb(first)
	name := ""
	if rule := s.ruleFor(top); rule != nil {
		var err error
		if name, err = rule.GroupOf(p.obj); err != nil {
			name = "" // one gang with the others that do not say
		}
	}
	if top.Group == workload.PodKind.Group && top.Kind == workload.PodKind.Kind {
		name = ownedGroup
	}
	s.joinGroupOf(id, p, top, top.ID(name))
}

// ownedGroup are the pods that belong to a pod that belongs to nothing, as the
// executors of a Spark driver do. They come after it: they are a workload of
// their own.
const ownedGroup = "owned"

func (s *State) leaveRoot(id string, p *pod) {
	if p.first != (workload.Ref{}) {
		s.root(p.first).pods.remove(id)
		s.forget(p.first)
		p.first = workload.Ref{}
	}
}

// joinGroupOf moves a pod to the workload of that ID, or out of its own when
// the ID is "".
func (s *State) joinGroupOf(id string, p *pod, top workload.Ref, to string) {
	if to == "" {
		s.leaveRoot(id, p)
	}
	s.keepInPlace(id, p, to)
	if p.group == to {
		if g := s.groups[to]; g != nil && g.members[0] == id {
			s.dirty.groups.add(to) // it speaks for the workload
		}
		return
	}
	if g := s.groups[p.group]; g != nil {
		i, _ := slices.BinarySearch(g.members, id)
		g.members = slices.Delete(g.members, i, i+1)
		g.kept.remove(id)
		s.dirty.groups.add(p.group)
	}
	p.group = to
	if to == "" {
		return
	}
	g := s.groups[to]
	if g == nil {
		g = &group{root: top, space: p.obj.Namespace, known: set[string]{}, kept: set[string]{}}
		s.groups[to] = g
		s.namespace(g.space).groups.add(to)
		if top != (workload.Ref{}) {
			s.root(top).groups.add(to)
			s.tally(top).workloads++
		}
	}
	i, _ := slices.BinarySearch(g.members, id)
	g.members = slices.Insert(g.members, i, id)
	if p.kept {
		g.kept.add(id)
	}
	s.dirty.groups.add(to)
}

// deriveGroup works out what a workload is. Its members are looked at again
// when that decides whether they can be placed.
func (s *State) deriveGroup(id string, d *difference) {
	g := s.groups[id]
	if g == nil {
		return
	}
	d.touch(id)
	if len(g.members) == 0 {
		s.report("Workload", workload.Display(id), nil)
		return // told of, and forgotten, when its pods have been
	}
	project, problem := g.project, fmt.Sprint(g.err)
	var written error
	if g.err, written = s.describeGroup(id, g); g.err == nil {
		g.err = written
	}
	s.report("Workload", workload.Display(id), written)
	if g.project != project || fmt.Sprint(g.err) != problem {
		for _, pod := range g.members {
			s.dirty.pods.add(pod)
		}
	}
}

// describeGroup fills in what the engine is told of a workload. absent says
// that its root is not there, written what is wrong with what people wrote.
func (s *State) describeGroup(id string, g *group) (absent, written error) {
	lead := s.pods[g.members[0]].obj
	var owner metav1.Object
	facts, submitted := workload.Facts{Min: 1}, lead.CreationTimestamp
	var factsErr error
	if g.root != (workload.Ref{}) {
		r := s.roots[g.root]
		if r.obj == nil {
			absent = fmt.Errorf("%s, which the pod belongs to, does not exist; create it, or delete the pod", g.root)
		} else {
			owner, submitted = r.obj, r.obj.GetCreationTimestamp()
			facts, factsErr = s.factsOf(g.root, r)
		}
	}
	words, err := ask.ReadWords(owner, lead)
	g.project = words.Project
	if g.project == "" {
		g.project = s.namespace(g.space).project()
	}
	kind, preemptible := s.kindOf(g, words, lead)
	g.spec = sched.Workload{
		ID:          id,
		Pools:       words.Pools,
		Kind:        kind,
		Preemptible: preemptible,
		Priority:    s.priorityOf(id, g, words, facts, lead.Spec.PriorityClassName, lead.Spec.Priority, kind),
		Min:         or(words.MinPods, max(1, facts.Min)),
		MinRuntime:  or(words.MinRuntime, 0),
		Moves:       or(words.MaxMoves, defaultMoves),
		Suspended:   or(words.Suspend, facts.Suspended),
	}
	g.spec.Owner = projectName(cmp.Or(g.project, "for namespace "+g.space)) // no Project can be called the latter
	g.spec.Expected = s.expected(id, g, &words)
	if !submitted.IsZero() {
		g.spec.Submitted = sched.Time(submitted.UnixMilli())
	}
	return absent, errors.Join(factsErr, err)
}

// defaultMoves is how often a workload may be moved to make room unless it
// says otherwise.
const defaultMoves = 3

// countIn notes whether the engine knows a pod as one of the workload's.
func (s *State) countIn(id string, known bool, pod string, d *difference) {
	g := s.groups[id]
	if g == nil {
		return
	}
	before := len(g.known)
	if known {
		g.known.add(pod)
	} else {
		g.known.remove(pod)
	}
	if (before == 0) != (len(g.known) == 0) {
		d.touch(id)
	}
}

// tellGroup returns what the engine has to be told of a workload, or nil. It
// is told of while it knows any of its pods.
func (s *State) tellGroup(id string) sched.Event {
	g := s.groups[id]
	if g == nil {
		return nil
	}
	defer s.forgetGroup(id, g)
	if len(g.known) == 0 {
		if g.told == nil {
			return nil
		}
		g.told = nil
		return sched.WorkloadGone{ID: id}
	}
	next := g.spec
	if len(g.kept) > 0 {
		next.Moves = 0
	}
	if g.told != nil && reflect.DeepEqual(*g.told, next) {
		return nil
	}
	g.told = &next
	return sched.WorkloadSet{Workload: next}
}

// forgetGroup drops a workload without pods.
func (s *State) forgetGroup(id string, g *group) {
	if len(g.members) > 0 {
		return
	}
	delete(s.groups, id)
	s.inquire(id, g, past.Kind{})
	s.namespace(g.space).groups.remove(id)
	if g.class != "" {
		unlink(s.byClass, g.class, id)
	}
	if g.root != (workload.Ref{}) {
		s.root(g.root).groups.remove(id)
		s.tally(g.root).workloads--
		s.forget(g.root)
	}
}

// or returns *p, or otherwise where p is nil.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
