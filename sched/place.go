package sched

import (
	"cmp"
	"slices"
)

// try tries to start the head of an entry's queue; failing that, to plan for
// it; failing that, it lets the entry sleep.
func (e *Engine) try(en *entry) {
	x := en.queue.heap.top()
	w, groups := x.w, x.groups
	firm := !w.Preemptible
	demand := e.demand(groups, en.pool)
	en.demand = demand
	forbids, why := en.acct.gate(demand, firm)
	if forbids != nil && (why != ReasonOverLimit || !e.claimAny(en.acct, w.Priority)) {
		en.plan = nil
		e.sleep(en, blockAccount, why, forbids)
		return
	} // below a limit, lesser work may have to give way
	if forbids == nil && e.roomFor(groups, en.pool) {
		held, where, why := e.placeAnyhow(w, en, groups)
		if held != nil {
			e.commit()
			e.start(w, held)
			return
		}
		if en.unsearched {
			e.sleep(en, blockPlanning, ReasonQueued, nil)
			return
		}
		if where != nil { // till devices are free of which it takes less, or more of the account
			e.sleep(en, blockCapacity, why, nil)
			return
		}
	}
	if en.plan == nil && e.roomElsewhere(w, en, groups) { // nobody has to give way
		en.doubt = doubt{}
		e.sleep(en, blockCapacity, ReasonNoDevices, nil)
		en.pool.unreviewed = true // in case somebody else takes that room
		return
	}
	if e.tryPlan(w, en, groups) {
		return
	}
	if en.plan != nil {
		e.sleep(en, blockPlanning, ReasonQueued, nil)
		return
	}
	en.doubt = e.doubtNow(en, demand)
	e.sleep(en, blockCapacity, cmp.Or(why, ReasonNoDevices), nil)
}

// roomElsewhere reports whether w could start in a later pool of its queue, or
// reach its minimum with other pods.
func (e *Engine) roomElsewhere(w *workload, en *entry, groups []group) bool {
	for x := en.next; x != nil; x = x.next {
		if e.wouldStart(w, x, groups) {
			return true
		}
	}
	if len(w.placed) >= w.Min || len(w.wishes) == 1 {
		return false
	}
	for _, x := range w.wishes {
		if x.queue != en.queue && slices.ContainsFunc(x.queue.entries, func(y *entry) bool { return e.wouldStart(w, y, x.groups) }) {
			return true
		}
	}
	return false
}

// wouldStart reports whether w's pods could start in x's pool now.
func (e *Engine) wouldStart(w *workload, x *entry, groups []group) bool {
	if at, _ := x.acct.gate(e.demand(groups, x.pool), !w.Preemptible); at != nil || !e.roomFor(groups, x.pool) {
		return false
	}
	held, _, _ := e.placeAnyhow(w, x, groups)
	if held != nil {
		e.rollback()
	}
	return held != nil
}

// placeAnyhow begins a transaction and places the groups in it, one after the
// other or, should pods take from each other what they need, by searching. When it succeeds the caller ends the
// transaction; when not it is ended. A search that effort does not allow is
// noted in the entry.
func (e *Engine) placeAnyhow(w *workload, en *entry, groups []group) (held []*holding, where *account, why Reason) {
	e.begin()
	if held, where, why = e.placeNow(w, en, groups); held == nil && (len(groups) > 1 || where != nil) {
		e.back(0)
		if en.unsearched = e.deciding && e.effort <= 0; !en.unsearched {
			held = e.search(w, en, groups, where != nil)
		}
	}
	if held == nil {
		e.rollback()
	}
	return held, where, why
}

// placeNow places all pods of the groups on what is free. It runs inside a
// transaction, which the caller ends. A nil result comes with the account that
// forbids the exact charge, if that is why.
func (e *Engine) placeNow(w *workload, en *entry, groups []group) (held []*holding, where *account, why Reason) {
	for _, g := range groups {
		shape := g.shape
		for i := 0; i < len(g.pods); {
			t := e.tree(shape, en.pool)
			if !shape.moving && !e.holds(t, len(g.pods)-i) {
				return nil, where, why
			}
			var others []Placement
			if shape.moving {
				others = placements(held)
			}
			n := e.home(g.pods[i], shape, en.pool, others)
			if n == nil {
				n = e.best(t, others)
			}
			if n == nil {
				return nil, where, why
			}
			h := e.lay(g.pods[i], shape, n, now)
			if h == nil {
				return nil, where, why
			}
			if at, reason := en.acct.gate(h.charge, !w.Preemptible); at != nil {
				where, why = at, reason
				if shape = e.narrowed(shape, h, at, reason); shape == nil {
					return nil, where, why
				}
				continue
			}
			e.put(h, w.runningIn())
			held = append(held, h)
			i++
		}
	}
	return held, nil, ""
}

// lay makes a holding for p on n, not yet put, or nil when it does not fit.
func (e *Engine) lay(p *pod, s *shape, n *node, v view) *holding {
	parts := e.choose(s, n, v)
	if parts == nil {
		return nil
	}
	return e.hold(p, s, n, parts)
}

// hold makes a holding of parts of n for p, not yet put.
func (e *Engine) hold(p *pod, s *shape, n *node, parts []part) *holding {
	return &holding{
		node: n, pod: p, w: p.w, shape: p.shape, parts: parts,
		need: e.resize(s.need), charge: e.chargeOf(s, n, parts),
	}
}

// narrowed returns the shape that asks for devices of which it takes a smaller
// part than of those that h was given, because h's charge is more than at
// allows; or nil when that cannot help.
func (e *Engine) narrowed(s *shape, h *holding, at *account, why Reason) *shape {
	if s.whole || len(h.parts) == 0 {
		return nil
	}
	used := at.used.plus(h.charge)
	bound := at.limit
	if why == ReasonOverQuota {
		used, bound = at.firm.plus(h.charge), at.quota
	}
	if excess := used.above(bound); excess[1] > 0 || excess[2] > 0 {
		return nil
	}
	dearest := int64(0)
	for _, p := range h.parts {
		dearest = max(dearest, e.cut(s, h.node.devices[p.dev].class).charge)
	}
	if dearest <= 1 {
		return nil
	}
	return e.intern(s.ask, dearest-1)
}

func placements(held []*holding) []Placement {
	out := make([]Placement, len(held))
	for i, h := range held {
		out[i] = Placement{Pod: h.pod.id, Node: h.node.Name}
	}
	return out
}

// start makes placed pods granted ones and says so.
func (e *Engine) start(w *workload, held []*holding) {
	e.round++
	for _, h := range held {
		w.dropWaiting(h.pod)
		h.pod.state, h.pod.hold, h.pod.since, h.pod.round = granted, h, e.now, e.decides
		w.place(h.pod)
		e.addVictim(h)
		e.say(h)
	}
	e.settle(held[0])
	e.relevel(w)
	e.requeue(w)
}

// say adds the start of h's pod to the decisions.
func (e *Engine) say(h *holding) {
	d := Decision{
		Action: Start, Workload: h.w.ID, Pod: h.pod.id, Grant: grantOf(h),
		Charged: h.charge.amount(), Borrowed: h.acct().borrows(h.charge),
	}
	if h.pod.aside != nil {
		d.Action, d.HostMiB = Resume, h.pod.aside.mib
	}
	if e.out == nil {
		e.out = make([]Decision, 0, max(e.arrived, 4))
	}
	e.out = append(e.out, d)
}

// borrows reports whether a is above its quota in a resource of charge.
func (a *account) borrows(charge vec) bool {
	return a.used.over(a.quota, charge)
}
