package laws

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// happen turns a step into events, by what there is when it happens.
func (w *World) happen(s Step) *Breach {
	switch s.Act {
	case Arrive:
		return w.arrive(s)
	case Grow, EndWork, Suspend:
		return w.happenToWork(s)
	case EndPod, FailBind, Leave:
		return w.happenToPod(s)
	case LoseNode, NewNode, Cordon, Sicken:
		return w.happenToNode(s)
	case Requota, Disown:
		return w.happenToOwner(s)
	case Occupy, Vacate:
		return w.happenOutside(s)
	case Foresee:
		return w.foresee(s)
	case Wait:
		w.Ledger.Now += sched.Time(s.Millis)
	case Settle:
		return w.settle()
	case Restart:
		return w.restart()
	}
	return nil
}

func (w *World) arrive(s Step) *Breach {
	work := s.Work
	w.names++
	work.ID = fmt.Sprintf("w%d", w.names)
	work.Submitted = w.Ledger.Now
	evs := []sched.Event{sched.WorkloadSet{Workload: work}}
	for _, ask := range s.Pods {
		evs = append(evs, sched.PodSet{Workload: work.ID, Pod: sched.Pod{ID: w.name(work.ID), Ask: ask}})
	}
	return w.tell(evs...)
}

// foresee tells what pods to expect, as somebody would who counted them.
func (w *World) foresee(s Step) *Breach {
	var ev sched.Expect
	for i, ask := range s.Pods {
		ask.Fit = ""
		ev.Pods = append(ev.Pods, sched.Expected{Ask: ask, Weight: int64(1 + s.Pick*i)})
	}
	return w.tell(ev)
}

func (w *World) happenToWork(s Step) *Breach {
	id, ok := pick(sortedKeys(w.Ledger.Works), s.Pick)
	if !ok {
		return nil
	}
	work := w.Ledger.Works[id]
	switch s.Act {
	case Grow:
		pods := w.Ledger.Of(id, func(Pod) bool { return true })
		if len(pods) == 0 || len(pods) >= 4 {
			return nil
		}
		return w.tell(sched.PodSet{Workload: id, Pod: sched.Pod{ID: w.name(id), Ask: pods[0].Ask}})
	case Suspend:
		work.Suspended = !work.Suspended
		return w.tell(sched.WorkloadSet{Workload: work})
	default:
		return w.tell(sched.WorkloadGone{ID: id})
	}
}

func (w *World) happenToPod(s Step) *Breach {
	if s.Act == Leave {
		if len(w.exits) == 0 {
			return nil
		}
		return w.leave(s.Early)
	}
	p, ok := pick(w.running(), s.Pick)
	if !ok {
		return nil
	}
	w.harm(func(q Pod) bool { return q.ID == p.ID })
	if s.Act == FailBind {
		return w.tell(sched.GrantFailed{ID: p.ID})
	}
	if len(w.Ledger.Of(p.Workload, func(Pod) bool { return true })) == 1 {
		return w.tell(sched.WorkloadGone{ID: p.Workload})
	}
	return w.tell(sched.PodGone{ID: p.ID})
}

func (w *World) happenToNode(s Step) *Breach {
	if s.Act == NewNode {
		name, ok := pick(sortedKeys(w.gone), s.Pick)
		if !ok {
			return nil
		}
		n := w.gone[name]
		delete(w.gone, name)
		return w.tell(sched.NodeSet{Node: n})
	}
	name, ok := pick(sortedKeys(w.Ledger.Nodes), s.Pick)
	if !ok {
		return nil
	}
	n := w.Ledger.Nodes[name]
	switch s.Act {
	case Cordon:
		n.Unschedulable = !n.Unschedulable
	case Sicken:
		if len(n.Devices) == 0 {
			return nil
		}
		n.Devices = slices.Clone(n.Devices)
		d := &n.Devices[s.Pick/7%len(n.Devices)]
		d.Unhealthy = !d.Unhealthy
	default:
		return w.loseNode(n)
	}
	return w.tell(sched.NodeSet{Node: n})
}

// loseNode removes a node. Its pods are then deleted and recreated, as the
// pod collector and the controllers would.
func (w *World) loseNode(n sched.Node) *Breach {
	w.gone[n.Name] = n
	on := func(p Pod) bool { return p.Grant.Node == n.Name }
	w.harm(on)
	evs := []sched.Event{sched.NodeGone{Name: n.Name}}
	for _, id := range slices.SortedFunc(maps.Keys(w.Ledger.Pods), compareIDs) {
		p := w.Ledger.Pods[id]
		if !on(p) {
			continue
		}
		next := sched.Pod{ID: w.name(p.Workload), Ask: p.Ask}
		evs = append(evs, sched.PodGone{ID: id}, sched.PodSet{Workload: p.Workload, Pod: next})
	}
	for _, id := range sortedKeys(w.Ledger.Foreign) {
		if w.Ledger.Foreign[id].Node == n.Name {
			evs = append(evs, sched.Vacated{ID: id})
		}
	}
	return w.tell(evs...)
}

func (w *World) happenToOwner(s Step) *Breach {
	if name, ok := pick(sortedKeys(w.lost), s.Pick); ok && s.Act == Disown {
		o := w.lost[name]
		delete(w.lost, name)
		return w.tell(sched.OwnerSet{Owner: o})
	}
	name, ok := pick(sortedKeys(w.Ledger.Owners), s.Pick)
	if !ok {
		return nil
	}
	o := w.Ledger.Owners[name]
	if s.Act == Disown {
		for _, other := range w.Ledger.Owners {
			if other.Parent == name {
				return nil
			}
		}
		w.lost[name] = o
		return w.tell(sched.OwnerGone{Name: name})
	}
	o.Pools = maps.Clone(o.Pools)
	for _, pool := range sortedKeys(o.Pools) {
		o.Pools[pool] = s.Bounds
	}
	return w.tell(sched.OwnerSet{Owner: o})
}

func (w *World) happenOutside(s Step) *Breach {
	if s.Act == Vacate {
		id, ok := pick(sortedKeys(w.Ledger.Foreign), s.Pick)
		if !ok {
			return nil
		}
		return w.tell(sched.Vacated{ID: id})
	}
	name, ok := pick(sortedKeys(w.Ledger.Nodes), s.Pick)
	if !ok {
		return nil
	}
	n := w.Ledger.Nodes[name]
	o := sched.Occupied{ID: w.name("foreign"), Node: name, Resources: sched.Resources{CPU: 1000, Pods: 1}}
	if n.Counted {
		r := w.Ledger.roomOf(n, everyGrant, everyPromise)
		o.Devices = min(1, max(0, r.whole))
	}
	return w.tell(o)
}
