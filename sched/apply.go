package sched

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Apply tells the engine of a change. It returns an error, and changes
// nothing, when the event contradicts itself or names what is not known.
func (e *Engine) Apply(ev Event) error {
	switch ev := ev.(type) {
	case NodeSet:
		return e.setNode(ev.Node)
	case NodeGone:
		e.dropNode(ev.Name)
	case PoolSet:
		return e.setPool(ev.Pool)
	case PoolGone:
		if p := e.pools[ev.Name]; p != nil {
			return e.setPool(Pool{Name: ev.Name})
		}
	case OwnerSet:
		return e.setOwner(ev.Owner)
	case OwnerGone:
		if e.owners[ev.Name] != nil {
			delete(e.owners, ev.Name)
			e.treeDirty = true
			for _, w := range e.sortedWorkloads() {
				if w.Owner == ev.Name {
					e.forgo(w)
				}
			}
		}
	case WorkloadSet:
		return e.setWorkload(ev.Workload)
	case WorkloadGone:
		e.dropWorkload(ev.ID)
	case PodSet:
		return e.setPod(ev)
	case PodGone:
		e.dropPod(ev.ID)
	case PodGranted:
		return e.podGranted(ev)
	case PodLeaving:
		e.podLeaving(ev.ID)
	case PodSuspended:
		return e.suspended(ev)
	case EvictFailed:
		e.evictFailed(ev.ID)
	case GrantFailed:
		e.grantFailed(ev.ID)
	case Occupied:
		return e.occupied(ev)
	case Vacated:
		e.vacated(ev.ID)
	case Expect:
		return e.expect(ev)
	default:
		return fmt.Errorf("unknown event %T", ev)
	}
	return nil
}

func (e *Engine) setPool(p Pool) error {
	for _, rule := range []string{p.GPUPlacement, p.CPUPlacement} {
		if rule != "" && !slices.Contains(Rules, rule) {
			return fmt.Errorf("pool %q: placement %q is not one of %q", p.Name, rule, Rules)
		}
	}
	if p.SurplusRuntime < 0 {
		return fmt.Errorf("pool %q: surplus run time %d ms is negative; use 0 or more", p.Name, p.SurplusRuntime)
	}
	if p.Surplus != "" && p.Surplus != ByShare && p.Surplus != ByService {
		return fmt.Errorf("pool %q: surplus is divided by %q; write %q or %q", p.Name, p.Surplus, ByShare, ByService)
	}
	q := e.pool(p.Name)
	p.Name = q.Name
	if q.Pool == p {
		return nil
	}
	q.Pool = p
	q.changes.forget()
	q.hope.prey++
	q.reheap()
	e.relevelAll()
	return nil
}

func (e *Engine) setOwner(o Owner) error {
	if o.Name == "" {
		return fmt.Errorf("owner without a name")
	}
	if !slices.Contains([]string{"", FIFO, Shortest, Service}, o.Discipline) {
		return fmt.Errorf("owner %q: discipline %q is not one of %q", o.Name, o.Discipline, []string{FIFO, Shortest, Service})
	}
	for name, op := range o.Pools {
		if op.Weight < 0 {
			return fmt.Errorf("owner %q, pool %q: weight %d is negative; use 0 or more", o.Name, name, op.Weight)
		}
		e.pool(name)
	}
	for _, name := range o.PoolOrder {
		e.pool(name)
	}
	old := e.owners[o.Name]
	o.Pools, o.PoolOrder = maps.Clone(o.Pools), distinct(o.PoolOrder)
	e.owners[o.Name] = &owner{Owner: o, order: orderOf(o)}
	if old != nil && reflect.DeepEqual(old.Owner, o) {
		return nil
	}
	if old == nil || e.treeDirty || old.Parent != o.Parent || !slices.Equal(old.PoolOrder, o.PoolOrder) ||
		!slices.Equal(sortedKeys(old.Pools), sortedKeys(o.Pools)) {
		e.treeDirty = true
		return nil
	}
	levels := old.Discipline != o.Discipline
	for _, p := range e.poolList {
		if a := p.accounts[o.Name]; a != nil {
			weight := a.weight
			a.configure(o)
			p.reconfigured()
			levels = levels || weight != a.weight
		}
	}
	if levels {
		e.relevelAll()
	}
	return nil
}

// reconfigured voids all answers about p: quotas or totals changed.
func (p *pool) reconfigured() {
	p.stale = true
	p.hope.prey++
}

func (e *Engine) setWorkload(w Workload) error {
	switch {
	case w.ID == "":
		return fmt.Errorf("workload without an ID")
	case w.Served < 0 || w.Expected < 0:
		return fmt.Errorf("workload %q: served %d, expected %d ms; neither may be negative", w.ID, w.Served, w.Expected)
	case w.Min < 0:
		return fmt.Errorf("workload %q: minimum %d is negative", w.ID, w.Min)
	}
	w.Min = max(w.Min, 1)
	for _, name := range w.Pools {
		e.pool(name)
	}
	x := e.workload(w.ID)
	if x.declared && reflect.DeepEqual(x.Workload, w) {
		return nil
	}
	w.Pools = distinct(w.Pools)
	if w.Moves > x.Moves { // what stood in the way may be moved now
		for _, h := range x.holdings() {
			h.node.pool.hope.prey++
		}
	}
	if x.declared && x.Owner == w.Owner && x.Preemptible == w.Preemptible && x.Priority == w.Priority {
		x.Workload = w
		for _, l := range x.listings {
			l.acct.pool.hope.prey++ // another minimum, or minimum run time
		}
	} else {
		e.rebook(x, func() { x.Workload = w })
	}
	x.declared = true
	x.served = max(x.served, w.Served)
	e.relevel(x)
	if w.Suspended {
		e.forgo(x)
	}
	e.requeue(x)
	return nil
}

// rebook changes what decides how x's holdings are accounted for.
func (e *Engine) rebook(x *workload, change func()) {
	e.unlistAll(x)
	held := x.holdings()
	was := make([]hold, len(held))
	for i, h := range held {
		was[i] = h.in
		e.put(h, 0)
	}
	change()
	x.accts = nil
	for i, h := range held {
		in := was[i]
		switch {
		case h.pod != nil && h.pod.state == granted:
			in = x.runningIn()
		case h.pod != nil && h.pod.state == promised:
			in = x.promisedIn()
		}
		e.put(h, in)
		e.addVictim(h)
	}
	e.relevel(x)
}

// runningIn is in which views a running pod of w counts.
func (w *workload) runningIn() hold {
	if w.Preemptible {
		return inLater | inActual
	}
	return inLater | inActual | inFixed
}

// promisedIn is in which views a promised place of w counts: one of preemptible
// work may be taken over.
func (w *workload) promisedIn() hold { return w.runningIn() &^ inActual }

// holdings returns everything that is held for w.
func (w *workload) holdings() []*holding {
	var out []*holding
	for _, p := range w.sorted() {
		if p.hold != nil {
			out = append(out, p.hold)
		}
	}
	for _, s := range w.seats {
		out = append(out, s.hold)
	}
	return out
}

// forgo takes back every place that is kept for w.
func (e *Engine) forgo(w *workload) {
	if w.booking != nil {
		e.unbook(w.booking)
	}
	for len(w.seats) > 0 {
		e.unseat(w.seats[0])
	}
}

// workload returns the workload of that ID, making it when it is new.
func (e *Engine) workload(id string) *workload {
	w := e.workloads[id]
	if w == nil {
		w = &workload{Workload: Workload{ID: id, Min: 1}, riseAt: -1}
		e.workloads[id] = w
	}
	return w
}

// distinct returns a copy of names without repetitions and with the default
// pool by its name.
func distinct(names []string) []string {
	var out []string
	for _, name := range names {
		if name == "" {
			name = DefaultPool
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func (e *Engine) dropWorkload(id string) {
	w := e.workloads[id]
	if w == nil {
		return
	}
	for _, p := range w.sorted() {
		e.dropPod(p.id)
	}
	e.forgo(w)
	for _, x := range w.wishes {
		e.dequeue(x)
	}
	e.rising.remove(w)
	delete(e.workloads, id)
}
