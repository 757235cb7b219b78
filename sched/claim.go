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
	if pl.surveys == nil {
		pl.surveys = make([]survey, len(groups))
	}
	for {
		for i := range groups {
			if !a.survey(&pl.surveys[i], groups[i].shape, pl.enough) {
				return false, false
			}
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
		if !slices.ContainsFunc(pl.surveys, func(sv survey) bool { return !sv.all }) {
			return a.sweep(groups, pods), true
		}
		pl.enough *= 4
	}
}

// survey looks for ways to make room for one pod of s until it has enough:
// first where room is coming, then where those run who borrow most. It returns
// false when effort ran out.
func (a *asker) survey(sv *survey, s *shape, enough int) bool {
	e := a.e
	if len(sv.points) >= enough {
		return true
	}
	b := e.bounds(e.tree(s, a.pool))
	if sv.seen == nil {
		sv.seen = map[*node]uint64{}
	}
	e.begin()
	defer e.rollback()
	// visit reports whether to go on.
	visit := func(n *node) bool {
		if v, ok := sv.seen[n]; ok && v == n.version || b.fixed[n.leafAt] == 0 {
			return true
		}
		if !a.couldClear(s, n) {
			sv.seen[n] = n.version
			e.effort--
			return e.effort > 0
		}
		pt, ok := a.look(s, n)
		sv.seen[n] = n.version
		if ok {
			sv.points = append(sv.points, pt)
		}
		return e.effort > 0 && len(sv.points) < enough
	}
	if b.sumLater > 0 {
		for _, leaf := range e.byNames(a.pool) {
			if b.later[leaf] > 0 && !visit(a.pool.nodes[leaf]) {
				return len(sv.points) >= enough
			}
		}
	}
	for _, acct := range a.lenders() {
		for _, v := range acct.victims {
			for i := len(v.items) - 1; i >= 0; i-- {
				for _, p := range v.items[i].w.placed {
					if p.hold.node.pool == a.pool && !visit(p.hold.node) {
						return len(sv.points) >= enough
					}
				}
			}
		}
	}
	sv.all = true
	return true
}

// lookEffort is what looking at one node costs of [Config.Effort]; looking at
// one sleeper costs 1.
const lookEffort = 4

// look returns the cheapest way to make room for one pod of s on n.
func (a *asker) look(s *shape, n *node) (point, bool) {
	a.e.effort -= lookEffort
	defer a.chargedOn(s, n)()
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
	a.demand, a.placed = e.demand(groups, a.pool), nil
	if taken, ok = a.relieve(); !ok {
		return nil, nil, false
	}
	for i, g := range groups {
		points := a.start(&pl.surveys[i], g.shape, taken, nodes)
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

// start returns the points to choose from: those of the survey, and those on
// nodes that changed for groups that came before.
func (a *asker) start(sv *survey, s *shape, taken []unit, nodes []*node) *heap[*point] {
	points := &heap[*point]{
		less: func(x, y *point) bool { return pointCmp(*x, *y) < 0 },
		at:   func(*point) *int { return new(int) },
	}
	for i := range sv.points {
		points.push(&sv.points[i])
	}
	changed := slices.Clone(nodes)
	for _, u := range taken {
		for _, h := range u.held {
			changed = append(changed, h.node)
		}
	}
	slices.SortFunc(changed, func(x, y *node) int { return cmp.Compare(x.rank, y.rank) })
	for _, n := range slices.Compact(changed) {
		if pt, ok := a.look(s, n); ok {
			points.push(&pt)
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
		floor := a.chargedOn(s, pt.node)
		entitled := fresh && a.entitled(pt.units)
		floor()
		if entitled {
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

// mostSwept bounds the pods that sweep looks at.
const mostSwept = 32

// sweep is the last resort where little runs: it takes everything that may be
// taken, and leaves it to leanest to place the pods and to give back what is
// not needed. It finds what gather, which goes pod by pod, does not see.
func (a *asker) sweep(groups []group, pods int) bool {
	e := a.e
	a.demand, a.placed = e.demand(groups, a.pool), nil
	if where, _ := a.acct.gate(a.demand, !a.w.Preemptible); where == nil && pods == 1 {
		return false // a point for one pod is all there is
	}
	var all []unit
	for _, acct := range a.lenders() {
		for _, v := range acct.victims {
			for i := len(v.items) - 1; i >= 0 && len(all) <= mostSwept; i-- {
				for _, h := range v.items[i].w.held() {
					if u, ok := a.unit(h); ok && h.node.pool == a.pool {
						all = append(all, u)
					}
				}
			}
		}
	}
	if len(all) == 0 || len(all) > mostSwept {
		return false
	}
	done, refused := a.sweepUp(all, groups)
	for i := 0; i < len(refused) && !done && e.effort > 0; i++ {
		done, _ = a.sweepUp(slices.Insert(slices.Clone(all), 0, refused[i]), groups)
	}
	return done
}

// sweepUp takes the units, in their order, as far as the asker has the right.
func (a *asker) sweepUp(units []unit, groups []group) (done bool, refused []unit) {
	e := a.e
	e.effort -= lookEffort * len(units)
	e.begin()
	taken, refused, _ := a.takeUntil(units, func() bool { return false })
	e.rollback()
	lean, placed := a.leanest(taken, nil, groups)
	if placed == nil || len(lean) == 0 || !stoppable(lean) {
		return false, refused
	}
	a.carryOut(lean, placed)
	return true, nil
}

// chargedOn makes the asker's demand what it is with a pod of s on n, where it
// may be charged more than elsewhere in the pool. Call what it returns after.
func (a *asker) chargedOn(s *shape, n *node) (floor func()) {
	if s.ask.Part.MemoryMiB == 0 {
		return func() {}
	}
	demand := a.demand
	a.demand[0] += max(a.e.chargeOn(s, n)-a.e.floorCharge(s, a.pool)[0], 0)
	return func() { a.demand = demand }
}

// rightful reports whether the asker may take the units for places with just
// these charges.
func (a *asker) rightful(units []unit, placed []*holding) bool {
	var exact vec
	for _, h := range placed {
		exact.add(h.charge)
	}
	if exact == a.demand {
		return true
	}
	floor := a.demand
	a.demand = exact
	a.e.begin()
	ok := a.entitled(units)
	a.e.rollback()
	a.demand = floor
	return ok
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
