package sched

import (
	"cmp"
	"slices"
)

// plan is the part of planning that goes on from one Decide to the next: the
// ways to make room found so far, one a node. Each is checked against its
// node's state before it is used, so a plan never has to be thrown away.
type plan struct {
	seen   map[*node]uint64 // nodes looked at, by their version then
	points []point
	enough int  // how many points are worth finding before choosing
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
	if len(acct.victims) > 0 && acct.victims[0].priority < w.Priority {
		return true
	}
	for x := acct; x.parent != nil; x = x.parent {
		after := x.used.plus(demand)
		owed := !after.over(x.quota, demand)
		for _, y := range x.parent.children {
			if y == x || !y.used.over(y.quota, demand) {
				continue
			}
			if owed || x.priority > y.priority || x.priority == y.priority && x.weight > 0 &&
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
	moves := en.plan == nil && e.mayMove(en.pool, e.demand(groups, en.pool))
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
	return &asker{e: e, w: w, acct: en.acct, pool: en.pool, demand: e.demand(groups, en.pool)}
}

// quick serves the common case, one pod for which one victim is enough: it
// asks the owners that borrow most for what loses least.
func (a *asker) quick(groups []group) bool {
	e := a.e
	if len(groups) != 1 || len(groups[0].pods) != 1 {
		return false
	}
	s := groups[0].shape
	if e.bounds(e.tree(s, a.pool)).sumLater > 0 { // room is coming anyway
		return false
	}
	for _, acct := range a.lenders() {
		const tries = 8
		left := tries
		for _, v := range acct.victims {
			for i := len(v.items) - 1; i >= 0 && left > 0; i, left = i-1, left-1 {
				if a.replace(v.items[i].w, s, groups) {
					return true
				}
			}
		}
	}
	return false
}

// replace evicts one unit of the workload if that lets the asker's only pod
// start in its place.
func (a *asker) replace(v *workload, s *shape, groups []group) bool {
	e := a.e
	here := slices.DeleteFunc(slices.Clone(v.placed), func(p *pod) bool { return p.hold.node.pool != a.pool })
	if len(here) == 0 {
		return false
	}
	newest := slices.MaxFunc(here, func(x, y *pod) int { return cmp.Or(cmp.Compare(x.since, y.since), podCmp(x, y)) })
	h := newest.hold
	u, ok := a.unit(h)
	if !ok || !e.fits(s, h.node, nil) {
		return false
	}
	e.effort -= lookEffort
	e.begin()
	e.take(&u)
	placed := a.settleOn([]*node{h.node}, groups)
	if placed == nil {
		e.rollback()
		return false
	}
	e.rollback()
	a.carryOut([]unit{u}, placed)
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
// later, and returns their holdings, put; nil when some do not fit or an owner
// forbids it. It runs in a transaction that the caller ends.
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
				if e.slots(g.shape, n, later, 1) > 0 && e.fits(g.shape, n, placements(held)) {
					h = e.lay(p, g.shape, n, later)
					break
				}
			}
			if h == nil {
				return nil
			}
			if where, _ := a.acct.gate(h.charge, !a.w.Preemptible); where != nil {
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
		if u.held[0].pod.state == promised {
			e.unbook(u.w.booking)
			continue
		}
		for _, h := range u.held {
			e.out = append(e.out, Decision{
				Action: Evict, Workload: u.w.ID, Pod: h.pod.id, For: a.w.ID, ForOwner: a.w.Owner,
				Rule: u.rule, Charged: h.charge.amount(),
			})
			e.stop(h.pod)
		}
		e.requeue(u.w)
	}
	e.book(a.w, placed)
}

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
			if placed != nil {
				a.carryOut(units, placed)
			}
			return placed != nil, true
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
