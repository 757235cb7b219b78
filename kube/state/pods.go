package state

import (
	"errors"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// pod is a Pod that has not ended, or that still holds devices.
type pod struct {
	obj     *corev1.Pod
	deleted bool         // the object is gone, but its claims still hold devices
	first   workload.Ref // what it says that it belongs to
	group   string       // workload, "" for pods that are not Weir's
	named   []string     // claims and templates it names
	models  string       // names of models it wrote
	kept    bool         // a disruption budget keeps it where it is
	ranFor  string       // the project that learned how long it ran
	problem error
	told    fact
}

// fact is what the engine was told of a pod.
type fact struct {
	uid      types.UID
	workload string // "": nothing was told of it as a pod of Weir's
	ask      sched.Ask
	granted  bool
	grant    sched.Grant
	since    sched.Time
	leaving  bool
	occupied *sched.Occupied
}

func podID(p *corev1.Pod) string { return p.Namespace + "/" + p.Name }

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

func ours(p *corev1.Pod) bool { return p.Spec.SchedulerName == ask.SchedulerName }

func (s *State) setPod(obj *corev1.Pod) {
	id := podID(obj)
	p := s.pods[id]
	if p == nil {
		p = &pod{}
		s.pods[id] = p
		s.namespace(obj.Namespace).pods.add(id)
	}
	if p.obj == nil || p.obj.UID != obj.UID { // another pod, if of the same name
		if p.obj != nil {
			s.touchClaims(p.obj.UID)
		}
		s.touchClaims(obj.UID)
	}
	p.obj, p.deleted = obj, false
	s.refile(id, p)
	s.dirty.pods.add(id)
	if s.roots[podRef(obj)] != nil {
		s.setRoot(obj)
	}
}

func (s *State) dropPod(id string) {
	p := s.pods[id]
	if p == nil {
		return
	}
	p.deleted = true
	s.dirty.pods.add(id)
	s.dropRoot(p.obj)
}

// touchClaims marks the claims reserved for a pod.
func (s *State) touchClaims(uid types.UID) {
	for key := range s.mentions[uid] {
		s.dirty.claims.add(key)
	}
}

// refile files a pod under the claims that it names.
func (s *State) refile(id string, p *pod) {
	for _, key := range p.named {
		unlink(s.byClaim, key, id)
	}
	p.named = namedClaims(p)
	for _, key := range p.named {
		link(s.byClaim, key, id)
	}
}

// remove forgets a pod altogether.
func (s *State) remove(id string, p *pod) {
	s.joinGroupOf(id, p, workload.Ref{}, "")
	s.touchClaims(p.obj.UID)
	for _, key := range p.named {
		unlink(s.byClaim, key, id)
	}
	s.models.follow(p, id, nil)
	ns := s.namespace(p.obj.Namespace)
	ns.pods.remove(id)
	s.report("Pod", id, nil)
	delete(s.pods, id)
}

// derivePod tells what is known of a pod now. Its workload has been derived.
func (s *State) derivePod(id string, d *difference) {
	p := s.pods[id]
	if p == nil {
		return
	}
	next, err := s.factOf(id, p)
	s.report("Pod", id, err)
	p.problem = err
	old := p.told
	p.told = next
	if tell(id, old, next, d) {
		s.touchClaims(p.obj.UID)
	}
	s.countIn(p.group, next.workload != "" && next.workload == p.group, id, d)
	if old.workload != "" && old.workload != next.workload {
		s.countIn(old.workload, false, id, d)
	}
	if p.deleted && next.workload == "" && next.occupied == nil {
		s.remove(id, p)
	}
}

// tell adds the difference between two facts about a pod and reports whether
// there is one.
func tell(id string, old, next fact, d *difference) bool {
	changed := false
	if old.occupied != nil && next.occupied == nil {
		d.podsGone = append(d.podsGone, sched.Vacated{ID: old.occupied.ID})
		changed = true
	}
	anew := old.workload != "" && (next.workload != old.workload || next.uid != old.uid ||
		old.granted && !next.granted || old.leaving && !next.leaving)
	if anew {
		d.podsGone = append(d.podsGone, sched.PodGone{ID: id})
		old = fact{}
		changed = true
	}
	if next.workload != "" {
		if old.workload == "" || !reflect.DeepEqual(old.ask, next.ask) {
			d.pods = append(d.pods, sched.PodSet{Workload: next.workload, Pod: sched.Pod{ID: id, Ask: next.ask}})
			changed = true
		}
		granted := next.granted && (!old.granted || old.since != next.since || !reflect.DeepEqual(old.grant, next.grant))
		if granted {
			d.pods = append(d.pods, sched.PodGranted{ID: id, Grant: next.grant, Since: next.since})
			changed = true
		}
		if next.leaving && (granted || !old.leaving) { // who is granted something else runs, to the engine
			d.pods = append(d.pods, sched.PodLeaving{ID: id})
			changed = true
		}
	}
	if next.occupied != nil && !reflect.DeepEqual(old.occupied, next.occupied) {
		d.pods = append(d.pods, *next.occupied)
		changed = true
	}
	return changed
}

// factOf works out what a pod is to the engine. The error says why it cannot
// be placed as it is; it goes with a fact when the pod is there nonetheless.
func (s *State) factOf(id string, p *pod) (fact, error) {
	none := fact{uid: p.obj.UID}
	held, _, odd := s.holding(p.obj.UID)
	gone := p.deleted || ended(p.obj)
	bound := p.obj.Spec.NodeName != ""
	holds := bound || held.Node != ""
	switch {
	case gone && held.Node == "":
		return none, nil
	case p.group == "" || holds && s.groups[p.group].project == "":
		if gone || !bound { // what its claims hold is told of as theirs
			return none, nil
		}
		return s.stranger(id, p, held)
	case holds:
		return s.placed(id, p, held, gone, odd)
	case p.obj.DeletionTimestamp != nil || ask.Gated(p.obj):
		return none, nil
	}
	g := s.groups[p.group]
	if g.err != nil {
		return none, g.err
	}
	a, err := s.asks(id, p)
	if err != nil {
		return none, err
	}
	return fact{uid: p.obj.UID, workload: p.group, ask: a}, nil
}

// asks reads what a pod asks for, in the engine's names.
func (s *State) asks(id string, p *pod) (sched.Ask, error) {
	a, err := ask.FromPod(p.obj, s)
	if err == nil {
		err = a.Check()
	}
	if err != nil {
		s.models.follow(p, id, nil)
		return sched.Ask{}, err
	}
	s.models.follow(p, id, a.Models)
	a.Models = s.models.resolve(a.Models)
	if s.cfg.Book != nil {
		a.Fit = s.cfg.Book.Fit(p.obj)
	}
	return a, nil
}

// placed is a pod of Weir's that has its place: it is bound, or its claims are
// allocated and it only has to be bound.
func (s *State) placed(id string, p *pod, held sched.Grant, gone bool, odd error) (fact, error) {
	a, err := s.asks(id, p)
	if err != nil {
		if p.obj.Spec.NodeName == "" {
			return fact{uid: p.obj.UID}, err
		}
		f, _ := s.stranger(id, p, held)
		return f, err
	}
	next := fact{
		uid: p.obj.UID, workload: p.group, ask: a, granted: true, grant: held,
		since:   s.since(p),
		leaving: gone || p.obj.DeletionTimestamp != nil,
	}
	switch node := p.obj.Spec.NodeName; {
	case node == "" || node == held.Node:
	case held.Node != "":
		next.grant = sched.Grant{Node: node}
		odd = fmt.Errorf("it runs on node %s but its claim is allocated on %s; delete the pod to have the claim made anew",
			node, held.Node)
	case p.told.granted && p.told.uid == p.obj.UID && p.told.grant.Node == node && named(p.told.grant) &&
		(a.Devices > 0 || len(p.obj.Spec.ResourceClaims) > 0): // else a claim was reserved for it that it did not ask for
		next.grant = p.told.grant // it runs on them still, whatever became of its claim
		if !next.leaving {
			odd = errors.New("its claim is gone or holds nothing; what it had counts as its own until it ends")
		}
	case a.Devices > 0 && len(p.obj.Spec.ResourceClaims) > 0:
		next.grant = sched.Grant{Node: node}
		odd = errors.New("it runs but its claim holds nothing; delete the pod to have the claim made anew")
	default: // by count: which devices they are, nobody says
		next.grant = sched.Grant{Node: node}
		for range a.Devices {
			next.grant.Devices = append(next.grant.Devices, sched.Share{})
		}
	}
	return next, odd
}

// named reports whether a grant is of devices that have names.
func named(g sched.Grant) bool { return len(g.Devices) > 0 && g.Devices[0].Device != "" }

// stranger is a bound pod that is not Weir's to schedule.
func (s *State) stranger(id string, p *pod, held sched.Grant) (fact, error) {
	list, err := ask.Requests(p.obj)
	if err != nil {
		list = nil // the API server lets no such pod in
	}
	devices := 0
	if q, ok := list[ask.WholeGPU]; ok && held.Node == "" {
		devices = int(min(max(q.Value(), 0), maxCounted))
	}
	resources := ask.Allocatable(list) // the same reading, GPUs left out
	resources.Pods = 1
	return fact{uid: p.obj.UID, occupied: &sched.Occupied{
		ID: "pod " + id, Node: p.obj.Spec.NodeName, Resources: resources, Devices: devices,
	}}, nil
}

// since is when a pod came to its place.
func (s *State) since(p *pod) sched.Time {
	if t := p.obj.Status.StartTime; t != nil {
		return sched.Time(t.UnixMilli())
	}
	for _, c := range p.obj.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero() {
			return sched.Time(c.LastTransitionTime.UnixMilli())
		}
	}
	if p.obj.CreationTimestamp.IsZero() {
		return 0
	}
	return sched.Time(p.obj.CreationTimestamp.UnixMilli())
}
