package sched

import (
	"cmp"
	"slices"
)

// search places a gang whose pods may take what others of it need: kind by
// kind, those with the least to choose from first, each where it harms the
// others least, going back where that leads nowhere. What one pod may take from
// another is devices, and quota, where a request by memory is charged less on
// larger devices.
//
// It is bounded by a number of steps, which count as planning, and it is asked
// only when the sums leave room for every kind but placing one after the other
// failed. So it may miss an arrangement, and holds up nobody.
type search struct {
	e    *Engine
	w    *workload
	acct *account // that has to allow it; nil when none has to
	pool *pool
	view view // in which the places have to be free
	as   hold // in which views they are taken
	dear bool // quota or limit is short: what is charged least comes first
	left int  // steps
	held []*holding
}

const (
	searchSteps = 2048 // in all, of about half a microsecond
	laySteps    = 4    // for placing one pod, and taking it back
	scanned     = 16   // nodes that are put in order in one step
	mostTried   = 64   // nodes for one kind
)

// search runs inside a transaction, which the caller ends. It changes nothing
// when it finds nothing.
func (e *Engine) search(w *workload, en *entry, groups []group, dear bool) []*holding {
	s := &search{
		e: e, w: w, acct: en.acct, pool: en.pool, view: now, as: w.runningIn(), dear: dear, left: searchSteps,
	}
	return s.run(groups)
}

func (s *search) run(groups []group) []*holding {
	slack := func(g group) int64 { return s.sum(g) / int64(len(g.pods)) }
	order := slices.Clone(groups)
	slices.SortStableFunc(order, func(a, b group) int { return cmp.Compare(slack(a), slack(b)) })
	steps := s.left
	found := s.place(order)
	if s.e.deciding {
		s.e.effort -= steps - max(s.left, 0)
	}
	if !found {
		return nil
	}
	return s.held
}

// sum is how many pods of g's shape the pool has room for.
func (s *search) sum(g group) int64 {
	t := s.e.tree(g.shape, s.pool)
	if s.view == later {
		return s.e.bounds(t).sumLater
	}
	return s.e.free(t).sum
}

// slots is how many of them each node has room for, by leaf.
func (s *search) slots(t *tree) []int64 {
	if s.view == later {
		return s.e.bounds(t).later
	}
	return s.e.free(t).slots
}

// place places all groups, and reports whether it could.
func (s *search) place(groups []group) bool {
	if len(groups) == 0 {
		return true
	}
	return s.leavesRoom(groups) && s.placePods(groups, 0, s.nodes(groups), 0)
}

// leavesRoom reports whether the sums leave room for each of the groups. False
// is a proof that they do not fit.
func (s *search) leavesRoom(groups []group) bool {
	for _, g := range groups {
		s.left--
		if s.sum(g) < int64(len(g.pods)) {
			return false
		}
	}
	return true
}

// placePods places the pods of the first group from the i-th on, and then the
// other groups. Pods of a group are interchangeable: each goes to the node of
// the one before it or to a later one.
func (s *search) placePods(groups []group, i int, nodes []*node, from int) bool {
	g, e := groups[0], s.e
	if i == len(g.pods) {
		return s.place(groups[1:])
	}
	for at := from; at < len(nodes) && s.left > 0; at++ {
		n := nodes[at]
		if e.slots(g.shape, n, s.view, 1) == 0 || !e.fits(g.shape, n, placements(s.held)) {
			continue
		}
		found := e.choices(g.shape, n, s.view, func(parts []part) bool {
			s.left -= laySteps
			h := e.hold(g.pods[i], g.shape, n, parts)
			if s.left <= 0 || s.forbidden(h) {
				return false
			}
			m := e.mark()
			e.put(h, s.as)
			s.held = append(s.held, h)
			if s.leavesRoom(groups[1:]) && s.placePods(groups, i+1, nodes, at) {
				return true
			}
			s.held = s.held[:len(s.held)-1]
			e.back(m)
			return false
		})
		if found {
			return true
		}
	}
	return false
}

func (s *search) forbidden(h *holding) bool {
	if s.acct == nil {
		return false
	}
	where, _ := s.acct.gate(h.charge, !s.w.Preemptible)
	return where != nil
}

// nodes lists where pods of the first group fit, those first that are of the
// least use to the others, then by the rule of the pool. Of nodes that look
// alike, no more are listed than the group has pods.
func (s *search) nodes(groups []group) []*node {
	t := s.e.tree(groups[0].shape, s.pool)
	s.e.knowAll(t)
	fits := s.slots(t)
	s.left -= len(fits)/scanned + 1
	var others [][]int64
	for _, g := range groups[1:] {
		others = append(others, s.slots(s.e.tree(g.shape, s.pool)))
	}
	type place struct{ charge, harm, score, slots int64 }
	of := func(n *node) place {
		p := place{score: -max(t.leaves[n.leafAt].score, -manySlots<<32), slots: fits[n.leafAt]}
		if s.dear {
			p.charge = s.e.leastCharge(t.shape, n, s.view)
		}
		for _, o := range others {
			p.harm += o[n.leafAt]
		}
		return p
	}
	var out []*node
	for leaf, fit := range fits {
		if fit > 0 {
			out = append(out, s.pool.nodes[leaf])
		}
	}
	slices.SortFunc(out, func(a, b *node) int {
		x, y := of(a), of(b)
		return cmp.Or(cmp.Compare(x.charge, y.charge), cmp.Compare(x.harm, y.harm),
			cmp.Compare(x.score, y.score), cmp.Compare(x.slots, y.slots), cmp.Compare(a.rank, b.rank))
	})
	alike := 0
	var kept []*node
	for i, n := range out {
		if alike++; i > 0 && of(out[i-1]) != of(n) {
			alike = 1
		}
		if alike <= len(groups[0].pods) && len(kept) < mostTried {
			kept = append(kept, n)
		}
	}
	return kept
}

// leastCharge is the least that a part of a device of n is charged to s.
func (e *Engine) leastCharge(s *shape, n *node, v view) int64 {
	least := int64(0)
	for i := range n.devices {
		if d := &n.devices[i]; e.partsOn(s, d, v) > 0 {
			if c := e.cut(s, d.class).charge; least == 0 || c < least {
				least = c
			}
		}
	}
	return least
}

// choices calls yield with the devices of n that one pod of s could have, the
// ones by the rule of the pool first, until it says true.
func (e *Engine) choices(s *shape, n *node, v view, yield func([]part) bool) bool {
	if parts := e.choose(s, n, v); parts != nil && yield(parts) {
		return true
	}
	if s.ask.Devices == 0 || s.whole || n.Counted {
		return false // one empty device is as good as another
	}
	return e.combine(s, n, v, 0, nil, yield)
}

// combine adds devices of n from the first on to parts, in every way that
// differs in what is left of them.
func (e *Engine) combine(s *shape, n *node, v view, first int, parts []part, yield func([]part) bool) bool {
	if len(parts) == s.ask.Devices {
		return yield(slices.Clone(parts))
	}
	for i := first; i < len(n.devices); i++ {
		d := &n.devices[i]
		if e.partsOn(s, d, v) == 0 || i > first && d.alike(&n.devices[i-1]) {
			continue
		}
		if e.combine(s, n, v, i+1, append(parts, newPart(int32(i), d, e.cut(s, d.class))), yield) {
			return true
		}
	}
	return false
}

// alike reports whether d and o are of one class and hold as much.
func (d *device) alike(o *device) bool {
	return d.class == o.class && d.sick == o.sick && d.used == o.used
}
