package sched

import (
	"cmp"
	"slices"
)

// plan is the part of planning that goes on from one Decide to the next: a
// survey for each group of pods.
type plan struct {
	surveys []survey
	enough  int // how many points are worth finding before choosing
}

// survey is the ways to make room for a pod of one shape found so far, one a
// node. Each is checked against its node's state before it is used, so a survey
// never has to be thrown away.
type survey struct {
	seen   map[*node]uint64 // nodes looked at, by their version then
	points []point
	all    bool // every node that could help was looked at
}

// point is the cheapest way to make room for one more pod on a node.
type point struct {
	node    *node
	version uint64
	cost    cost
	units   []unit
}

func pointCmp(a, b point) int {
	return cmp.Or(costCmp(a.cost, b.cost), cmp.Compare(a.node.rank, b.node.rank))
}

// mayClaim reports whether w's owners have a right to take anything at all.
func (e *Engine) mayClaim(w *workload, acct *account, demand vec) bool {
	if len(acct.victims) > 0 && acct.victims[0].priority < w.Priority && acct.mayPreempt(w.Priority, demand, vec{1, 1, 1}) {
		return true
	}
	if e.outserved(w, acct, demand) {
		return true
	}
	for x := acct; x.parent != nil; x = x.parent {
		after := x.used.plus(demand)
		owed := !after.over(x.quota, demand)
		for _, y := range x.parent.children {
			if y == x || !y.used.over(y.quota, demand) {
				continue
			}
			if owed || x.priority > y.priority || acct.pool.Surplus != ByService && x.priority == y.priority && x.weight > 0 &&
				ratioLess(x.standing(after, false), x.weight, y.standing(y.used, false), y.weight) {
				return true
			}
		}
	}
	return false
}

// tryPlan looks for pods to move or to evict so that w can start, promises w
// the places and says what has to stop. When effort runs out it leaves the
// rest in en.plan and returns false.
func (e *Engine) tryPlan(w *workload, en *entry, groups []group) bool {
	claims := e.due(en.acct, groups, en.pool) || e.mayClaim(w, en.acct, e.demand(groups, en.pool))
	moves := en.plan == nil && !en.forbidden() && e.mayMove(en.pool, e.demand(groups, en.pool))
	if !moves && !claims || !e.enoughIfBare(groups, en.pool) {
		en.plan = nil
		return false
	}
	if moves = moves && e.moveDue(en.pool, groups); !moves && !claims {
		en.plan = nil
		return false
	}
	if e.effort <= 0 {
		en.plan = cmp.Or(en.plan, &plan{})
		return false
	}
	a := e.asker(w, en, groups)
	if en.plan == nil {
		if claims && a.quick(groups) {
			return true
		}
		if moves {
			if a.consolidate(groups) {
				return true
			}
			e.moveFailed(en, groups)
		}
	}
	if !claims {
		return false
	}
	pl := cmp.Or(en.plan, &plan{})
	done, finished := a.claim(pl, groups)
	if !finished {
		en.plan = pl
	} else if !done {
		en.plan = nil
	}
	return done
}

func (e *Engine) asker(w *workload, en *entry, groups []group) *asker {
	demand := e.demand(groups, en.pool)
	return &asker{e: e, w: w, acct: en.acct, pool: en.pool, demand: demand, owed: e.owed(en.acct, demand) != 0}
}

// quick serves the common case, one pod for which one victim is enough: it
// asks the owners that borrow most for work of which hardly any is lost, else,
// of those that it asked, for the single pod of no more than its own size of
// which the least is lost.
func (a *asker) quick(groups []group) bool {
	e := a.e
	if len(groups) != 1 || len(groups[0].pods) != 1 || a.pool.Surplus == ByService || e.yieldsWithin(a.w) {
		return false
	}
	s := groups[0].shape
	if e.bounds(e.tree(s, a.pool)).sumLater > 0 { // room is coming anyway
		return false
	}
	const tries = 8
	var dear []chance
	for _, acct := range a.lenders() {
		left, found := tries, len(dear)
		for _, v := range acct.victims {
			for i := len(v.items) - 1; i >= 0 && left > 0; i, left = i-1, left-1 {
				c, ok := a.chance(v.items[i].w, s)
				switch {
				case !ok:
				case magnitude(c.lost) > 0:
					if len(c.held) == 1 && c.charge[0] <= a.demand[0] {
						dear = append(dear, c)
					}
				case a.replace(c, s, groups):
					return true
				}
			}
			if len(dear) > found {
				break // what is more important comes later
			}
		}
	}
	slices.SortFunc(dear, func(x, y chance) int {
		return cmp.Or(costCmp(costOf([]unit{x.unit}), costOf([]unit{y.unit})), unitCmp(x.unit, y.unit))
	})
	for _, c := range dear[:min(len(dear), tries)] {
		if a.replace(c, s, groups) {
			return true
		}
	}
	return false
}

// chance is a place that is free when a unit stops.
type chance struct {
	unit
	node *node
}

// chance returns what has to stop with the newest pod of v, and where that is,
// if the asker may stop it for a pod of s.
func (a *asker) chance(v *workload, s *shape) (chance, bool) {
	here := slices.DeleteFunc(slices.Clone(v.placed), func(p *pod) bool { return p.hold.node.pool != a.pool })
	if len(here) == 0 {
		return chance{}, false
	}
	h := slices.MaxFunc(here, func(x, y *pod) int { return cmp.Or(cmp.Compare(x.since, y.since), podCmp(x, y)) }).hold
	defer a.chargedOn(s, h.node)()
	u, ok := a.unit(h)
	return chance{u, h.node}, ok && a.e.fits(s, h.node, nil)
}

// replace evicts a unit if that lets the asker's only pod start in its place.
func (a *asker) replace(c chance, s *shape, groups []group) bool {
	e := a.e
	defer a.chargedOn(s, c.node)()
	e.effort -= lookEffort
	e.begin()
	e.take(&c.unit)
	placed := a.settleOn([]*node{c.node}, groups)
	e.rollback()
	if placed == nil || !a.rightful([]unit{c.unit}, placed) {
		return false
	}
	a.carryOut([]unit{c.unit}, placed)
	return true
}

// lenders returns the accounts whose workloads the asker may take from, the
// ones that borrow most first, the asker's own last.
func (a *asker) lenders() []*account {
	var out []*account
	var visit func(x *account)
	visit = func(x *account) {
		if len(x.victims) > 0 && x != a.acct && x.used.over(x.quota, a.demand) {
			out = append(out, x)
		}
		for _, c := range x.children {
			visit(c)
		}
	}
	visit(a.pool.root)
	rank := func(x *account) int64 {
		_, y := siblings(a.acct, x)
		return y.standing(y.used, false)
	}
	slices.SortStableFunc(out, func(x, y *account) int {
		return cmp.Or(cmp.Compare(rank(y), rank(x)), cmp.Compare(x.name, y.name))
	})
	if len(a.acct.victims) > 0 {
		out = append(out, a.acct)
	}
	return out
}

// settleOn places the groups' pods on the nodes, in their order, in view
// later, and returns their holdings, put; nil when some do not fit where their
// owners allow it. It runs in a transaction that the caller ends.
func (a *asker) settleOn(nodes []*node, groups []group) []*holding {
	e := a.e
	var held []*holding
	at := 0
	for _, g := range groups {
		at = 0
		for _, p := range g.pods {
			var h *holding
			for ; at < len(nodes); at++ {
				n := nodes[at]
				if e.slots(g.shape, n, later, 1) == 0 || !e.fits(g.shape, n, placements(held)) {
					continue
				}
				if h = e.lay(p, g.shape, n, later); h == nil {
					return nil
				}
				if where, _ := a.acct.gate(h.charge, !a.w.Preemptible); where == nil {
					break
				}
				h = nil // elsewhere it may be charged less
			}
			if h == nil {
				return nil
			}
			e.put(h, inLater|inFixed)
			held = append(held, h)
		}
	}
	return held
}

// carryOut makes a plan real: the units stop, the places are promised.
func (a *asker) carryOut(units []unit, placed []*holding) {
	e := a.e
	e.round++
	for _, u := range units {
		for _, h := range u.held {
			if h.pod.state == promised {
				e.unbook(u.w.booking)
			}
		}
		for _, h := range u.held {
			if h.in != 0 && h.pod.state == granted {
				u.w.served += mulDiv(h.charge[0], max(int64(e.now-h.pod.since), 0), GPU, false)
			}
		}
		for _, h := range u.held {
			if h.in == 0 {
				continue
			}
			a.halt(&u, h)
		}
		e.requeue(u.w)
	}
	e.book(a.w, placed)
}
