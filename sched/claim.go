package sched

import (
	"cmp"
	"slices"
)

// spare is how many ways to make room are looked for beyond the pods to place,
// so that there is a choice.
const spare = 24

// claim evicts what the asker has a right to take. finished is false when
// effort ran out first. It is exhaustive: it says no only after every node that
// could help was looked at.
func (a *asker) claim(pl *plan, groups []group) (done, finished bool) {
	e := a.e
	pods := 0
	for _, g := range groups {
		pods += len(g.pods)
	}
	pl.enough = max(pl.enough, pods+spare)
	for {
		if len(groups) == 1 && !a.survey(pl, groups[0].shape) {
			return false, false
		}
		e.begin()
		units, nodes, ok := a.gather(pl, groups)
		e.rollback()
		if ok {
			units, placed := a.leanest(units, nodes, groups)
			if placed == nil || !stoppable(units) {
				return false, true
			}
			a.carryOut(units, placed)
			return true, true
		}
		if len(groups) > 1 || pl.all {
			return false, true
		}
		pl.enough *= 4
	}
}

// survey looks for ways to make room for one pod of s until it has enough:
// first where room is coming, then where those run who borrow most. It returns
// false when effort ran out.
func (a *asker) survey(pl *plan, s *shape) bool {
	e := a.e
	b := e.bounds(e.tree(s, a.pool))
	if pl.seen == nil {
		pl.seen = map[*node]uint64{}
	}
	e.begin()
	defer e.rollback()
	// visit reports whether to go on.
	visit := func(n *node) bool {
		if v, ok := pl.seen[n]; ok && v == n.version || b.fixed[n.leafAt] == 0 {
			return true
		}
		if !a.couldClear(s, n) {
			pl.seen[n] = n.version
			e.effort--
			return e.effort > 0
		}
		pt, ok := a.look(s, n)
		pl.seen[n] = n.version
		if ok {
			pl.points = append(pl.points, pt)
		}
		return e.effort > 0 && len(pl.points) < pl.enough
	}
	if b.sumLater > 0 {
		for leaf, fit := range b.later {
			if fit > 0 && !visit(a.pool.nodes[leaf]) {
				return len(pl.points) >= pl.enough
			}
		}
	}
	for _, acct := range a.lenders() {
		for _, v := range acct.victims {
			for i := len(v.items) - 1; i >= 0; i-- {
				for _, p := range v.items[i].w.placed {
					if p.hold.node.pool == a.pool && !visit(p.hold.node) {
						return len(pl.points) >= pl.enough
					}
				}
			}
		}
	}
	pl.all = true
	return true
}

// lookEffort is what looking at one node costs of [Config.Effort]; looking at
// one sleeper costs 1.
const lookEffort = 4

// look returns the cheapest way to make room for one pod of s on n.
func (a *asker) look(s *shape, n *node) (point, bool) {
	a.e.effort -= lookEffort
	units, ok := a.clear(s, n)
	if !ok {
		return point{}, false
	}
	return point{node: n, version: n.version, cost: costOf(units), units: units}, true
}

// gather takes the cheapest points until all pods are placed. It runs in a
// transaction that the caller ends.
func (a *asker) gather(pl *plan, groups []group) (taken []unit, nodes []*node, ok bool) {
	e := a.e
	if taken, ok = a.relieve(); !ok {
		return nil, nil, false
	}
	for _, g := range groups {
		points := a.start(pl, g.shape, len(groups) == 1)
		for _, p := range g.pods {
			pt, ok := a.cheapest(points, g.shape)
			if !ok {
				return nil, nil, false
			}
			for i := range pt.units {
				e.take(&pt.units[i])
			}
			taken = append(taken, pt.units...)
			h := e.lay(p, g.shape, pt.node, later)
			if h == nil {
				return nil, nil, false
			}
			if where, _ := a.acct.gate(h.charge, !a.w.Preemptible); where != nil {
				return nil, nil, false
			}
			e.put(h, inLater|inFixed)
			a.demand.sub(e.floorCharge(g.shape, a.pool))
			nodes = append(nodes, pt.node)
			a.placed = append(a.placed, Placement{Pod: p.id, Node: pt.node.Name})
			if again, ok := a.look(g.shape, pt.node); ok {
				points.push(&again)
			}
		}
	}
	return taken, nodes, true
}

// start returns the points to choose from: those of the plan, or a new survey.
func (a *asker) start(pl *plan, s *shape, planned bool) *heap[*point] {
	points := &heap[*point]{
		less: func(x, y *point) bool { return pointCmp(*x, *y) < 0 },
		at:   func(*point) *int { return new(int) },
	}
	if planned {
		for i := range pl.points {
			points.push(&pl.points[i])
		}
		return points
	}
	b := a.e.bounds(a.e.tree(s, a.pool))
	for leaf, fit := range b.fixed {
		if fit > 0 {
			if pt, ok := a.look(s, a.pool.nodes[leaf]); ok {
				points.push(&pt)
			}
		}
	}
	return points
}

// cheapest takes the cheapest true point off the heap, looking again at nodes
// that changed since they were looked at.
func (a *asker) cheapest(points *heap[*point], s *shape) (point, bool) {
	for points.len() > 0 {
		pt := points.pop()
		fresh := pt.version == pt.node.version
		if fresh && a.entitled(pt.units) {
			return *pt, true
		}
		if again, ok := a.look(s, pt.node); ok && !(fresh && slices.EqualFunc(pt.units, again.units, sameUnit)) {
			points.push(&again)
		}
	}
	return point{}, false
}

func sameUnit(x, y unit) bool { return slices.Equal(x.held, y.held) }

// entitled reports whether the asker may still take all units: taking others
// since may have used up its right, or the lender's surplus.
func (a *asker) entitled(units []unit) bool {
	m := a.e.mark()
	defer a.e.back(m)
	for _, u := range units {
		again, ok := a.unit(u.held[0])
		if !ok || len(again.held) != len(u.held) {
			return false
		}
		a.e.take(&again)
	}
	return true
}

// relieve takes units until no owner's limit stands in the way any more.
func (a *asker) relieve() (taken []unit, ok bool) {
	e := a.e
	for {
		where, why := a.acct.gate(a.demand, !a.w.Preemptible)
		if where == nil {
			return taken, true
		}
		if why != ReasonOverLimit {
			return nil, false
		}
		best, found := unit{}, false
		for _, acct := range a.lenders() {
			if !acct.below(where) {
				continue
			}
			for _, v := range acct.victims {
				for i := len(v.items) - 1; i >= 0 && !found; i-- {
					for _, h := range v.items[i].w.held() {
						if h.in&inLater != 0 && h.node.pool == a.pool {
							best, found = a.unit(h)
							break
						}
					}
				}
			}
		}
		if !found {
			return nil, false
		}
		e.take(&best)
		taken = append(taken, best)
	}
}

func (a *account) below(top *account) bool {
	for ; a != nil; a = a.parent {
		if a == top {
			return true
		}
	}
	return false
}

// leanest drops every unit without which the pods still find places, the
// costliest first, and returns the units left and the places. It looks at the
// nodes that were gathered, and for very large plans only once.
func (a *asker) leanest(units []unit, nodes []*node, groups []group) ([]unit, []*holding) {
	e := a.e
	nodes = slices.Compact(slices.SortedFunc(slices.Values(nodes), func(x, y *node) int { return cmp.Compare(x.rank, y.rank) }))
	place := func(units []unit) []*holding {
		e.begin()
		defer e.rollback()
		for i := range units {
			e.take(&units[i])
		}
		return a.settleOn(nodes, groups)
	}
	placed := place(units)
	a.demand = e.demand(groups, a.pool)
	const work = 4096
	if placed == nil || len(units)*(len(units)+len(placed)) > work {
		return units, placed
	}
	units, placed = a.spareGangs(units, placed, place)
	dearest := slices.SortedFunc(slices.Values(units), func(x, y unit) int {
		return costCmp(costOf([]unit{y}), costOf([]unit{x}))
	})
	for _, u := range dearest {
		fewer := slices.DeleteFunc(slices.Clone(units), func(x unit) bool { return sameUnit(x, u) })
		if !a.mayTakeAll(fewer) {
			continue
		}
		if p := place(fewer); p != nil {
			units, placed = fewer, p
		}
	}
	return units, placed
}

// mayTakeAll is entitled outside a transaction.
func (a *asker) mayTakeAll(units []unit) bool {
	a.e.begin()
	defer a.e.rollback()
	return a.entitled(units)
}
