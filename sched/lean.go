package sched

import (
	"cmp"
	"slices"
)

// mostLean bounds the work of making a plan lean: units tried, times what
// trying one costs.
const mostLean = 4096

// lean is a plan whose victims are being reduced to those that are needed.
type lean struct {
	*asker
	nodes  []*node // where the pods are to be placed
	groups []group
	units  []unit
	placed []*holding
}

// leanest drops every unit without which the pods still find places, the
// costliest first, and returns the units left and the places. It looks at the
// nodes that were gathered, those that are cleared besides and those that have
// room anyway, and for very large plans only once.
func (a *asker) leanest(units []unit, nodes []*node, groups []group) ([]unit, []*holding) {
	l := lean{asker: a, groups: groups, units: units}
	for _, u := range units {
		for _, h := range u.held {
			if h.node.pool == a.pool {
				nodes = append(nodes, h.node)
			}
		}
	}
	nodes = append(nodes, a.roomy(groups)...)
	l.nodes = slices.Compact(slices.SortedFunc(slices.Values(nodes), func(x, y *node) int { return cmp.Compare(x.rank, y.rank) }))
	l.placed = l.place(units)
	a.demand = a.e.demand(groups, a.pool)
	if l.placed != nil && !l.rightful(units, l.placed) {
		return units, nil
	}
	if l.placed == nil || len(units)*(len(units)+len(l.placed)) > mostLean {
		return units, l.placed
	}
	dearest := slices.SortedFunc(slices.Values(units), func(x, y unit) int {
		return costCmp(costOf([]unit{y}), costOf([]unit{x}))
	})
	for _, u := range dearest {
		l.try(slices.DeleteFunc(slices.Clone(l.units), func(x unit) bool { return x.held[0] == u.held[0] }))
	}
	for _, u := range l.units {
		if len(u.held) > 1 {
			l.spareGang(u.w)
		}
	}
	return l.units, l.placed
}

// place returns where the pods go once units are stopped, or nil.
func (l *lean) place(units []unit) []*holding {
	e := l.e
	e.begin()
	defer e.rollback()
	for i := range units {
		e.take(&units[i])
	}
	m := e.mark()
	held := l.settleOn(l.nodes, l.groups)
	if held != nil || len(l.groups) == 1 && len(l.groups[0].pods) == 1 || e.effort < -e.cfg.Effort {
		return held
	}
	e.back(m) // one after the other they fail; together they may fit
	s := &search{e: e, w: l.w, acct: l.acct, pool: l.pool, view: later, as: inLater | inFixed, left: leanSteps}
	return s.run(l.groups)
}

// leanSteps bounds one search of a plan for places.
const leanSteps = 512

// roomy returns nodes that will have room for the groups without taking from
// anybody, as many as they may need: first those where they are charged least.
func (a *asker) roomy(groups []group) []*node {
	e := a.e
	var out []*node
	for _, g := range groups {
		left := int64(len(g.pods))
		fits := e.bounds(e.tree(g.shape, a.pool)).later
		floor := e.floorCharge(g.shape, a.pool)[0]
		for _, dear := range []bool{false, true} {
			for _, leaf := range e.byNames(a.pool) {
				n := a.pool.nodes[leaf]
				if fits[leaf] > 0 && left > 0 && (!g.shape.whole && e.chargeOn(g.shape, n) > floor) == dear {
					out = append(out, n)
					left -= fits[leaf]
				}
			}
		}
	}
	return out
}

// try takes fewer units instead, if that is lawful and enough.
func (l *lean) try(fewer []unit) bool {
	judged, ok := l.judged(fewer)
	if !ok {
		return false
	}
	placed := l.place(judged)
	if placed == nil || !l.rightful(judged, placed) {
		return false
	}
	l.units, l.placed = judged, placed
	return true
}

// judged returns the units as they are when they are taken one after the other
// and no others are: a gang that had to go whole may lose just one pod now.
func (l *lean) judged(units []unit) ([]unit, bool) {
	l.e.begin()
	defer l.e.rollback()
	var out []unit
	for _, u := range units {
		again, ok := l.unit(u.held[0])
		if !ok || len(again.held) > len(u.held) {
			return nil, false
		}
		l.e.take(&again)
		out = append(out, again)
	}
	return out, true
}

// spareGang looks for pods of w that are enough, where w was to go whole though
// it runs above its minimum: some that lie next to each other.
func (l *lean) spareGang(w *workload) {
	held := slices.DeleteFunc(w.held(), func(h *holding) bool { return h.in&inLater == 0 || h.pod.state == promised })
	spare := len(held) - w.Min
	if spare < 1 || len(held)*spare*(len(l.units)+len(l.placed)) > mostLean {
		return
	}
	slices.SortFunc(held, func(x, y *holding) int {
		return cmp.Or(cmp.Compare(x.node.rank, y.node.rank), slices.CompareFunc(x.parts, y.parts, func(p, q part) int {
			return cmp.Compare(p.dev, q.dev)
		}), podCmp(x.pod, y.pod))
	})
	others := slices.DeleteFunc(slices.Clone(l.units), func(u unit) bool { return u.w == w })
	for size := 1; size <= spare; size++ {
		for i := 0; i+size <= len(held); i++ {
			fewer := slices.Clone(others)
			for _, h := range held[i : i+size] {
				fewer = append(fewer, unit{held: []*holding{h}})
			}
			if l.try(fewer) {
				return
			}
		}
	}
}
