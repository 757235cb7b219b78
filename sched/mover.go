package sched

import (
	"cmp"
	"slices"
)

// mover looks for a few cheap moves that make room for one pod. It knows two
// kinds:
//
//   - pods that have a home, a place elsewhere that is free, leave the node;
//   - one pod changes places with another that takes less of what the node
//     lacks: it goes where that one was, and that one takes what is left, or a
//     home of its own.
//
// A chain of more than two pods is not looked for.
type mover struct {
	*asker
	pod   *pod
	shape *shape
	asks  int64           // the least that the pod is charged of devices
	homes map[*shape]bool // whether a pod of it has a home; see hasHome
	ways  []way           // of pods that have homes
	swaps []way           // of one pod each, of one that has none: the first of each shape
}

const (
	mostLooked = 256 // nodes looked at for one pod
	mostMoved  = 4   // pods that leave a node for it; more for one of more devices
	mostTries  = 20  // of each kind
	dearest    = 2   // what a pod that moves may hold of devices, times what is asked for
)

// run places the pod, and returns its place and the moves that it takes. It
// runs in a transaction, which keeps them.
func (m *mover) run() (*holding, []relocation, bool) {
	for _, n := range m.candidates() {
		m.e.effort -= lookEffort
		m.look(n)
	}
	slices.SortFunc(m.ways, wayCmp)
	for _, w := range m.ways[:min(mostTries, len(m.ways))] {
		if h, moves := m.try(w, m.rehome); h != nil {
			return h, moves, true
		}
	}
	for _, w := range m.swaps[:min(mostTries, len(m.swaps))] {
		if h, moves := m.try(w, m.exchange); h != nil {
			return h, moves, true
		}
	}
	return nil, nil, false
}

// candidates lists the nodes on which the pod would fit were it not for what may
// be taken, those first that lack the least.
func (m *mover) candidates() []*node {
	e, p := m.e, m.pool
	type place struct {
		leaf int
		lack int64
	}
	var all []place
	outlines := e.outlines(p)
	for leaf, fit := range e.bounds(e.tree(m.shape, p)).fixed {
		if fit > 0 {
			all = append(all, place{leaf, e.lack(m.shape, &outlines[leaf])})
		}
	}
	slices.SortFunc(all, func(x, y place) int {
		return cmp.Or(cmp.Compare(x.lack, y.lack), cmp.Compare(p.nodes[x.leaf].rank, p.nodes[y.leaf].rank))
	})
	var out []*node
	for _, x := range all[:min(mostLooked, len(all))] {
		out = append(out, p.nodes[x.leaf])
	}
	return out
}

// look adds what could be done on n.
func (m *mover) look(n *node) {
	e := m.e
	if !n.open() || !e.fits(m.shape, n, m.placed) {
		return
	}
	var homely []*holding
	one := false
	for _, h := range n.holders {
		if h.w == nil || h.in&inFixed != 0 {
			continue
		}
		alone, home := e.fitsWithout(m.shape, n, h), m.hasHome(h.shape)
		switch {
		case !alone && !home || h.charge[0] > dearest*m.asks || !m.movable(h):
		case alone && home:
			m.ways = append(m.ways, e.wayOf(n, h))
			one = true
		case home:
			homely = append(homely, h)
		default:
			m.offer(e.wayOf(n, h))
		}
	}
	if one || !e.fitsWithout(m.shape, n, homely...) {
		return
	}
	if few := m.fewest(n, homely); len(few) > 0 && len(few) <= max(mostMoved, m.shape.ask.Devices) {
		m.ways = append(m.ways, e.wayOf(n, few...))
	}
}

// offer adds a pod that could change places: of each shape the cheapest on the
// first node that has any.
func (m *mover) offer(w way) {
	i := slices.IndexFunc(m.swaps, func(x way) bool { return x.held[0].shape == w.held[0].shape })
	switch {
	case i < 0:
		m.swaps = append(m.swaps, w)
	case m.swaps[i].node == w.node && wayCmp(w, m.swaps[i]) < 0:
		m.swaps[i] = w
	}
}

// fewest lets those stay, the largest first, without whose leaving the pod
// still fits on n.
func (m *mover) fewest(n *node, held []*holding) []*holding {
	slices.SortFunc(held, func(x, y *holding) int {
		return cmp.Or(cmp.Compare(y.charge[0], x.charge[0]), cmp.Compare(y.need[resCPU], x.need[resCPU]), podCmp(x.pod, y.pod))
	})
	for i := 0; i < len(held); {
		if rest := slices.Delete(slices.Clone(held), i, i+1); m.e.fitsWithout(m.shape, n, rest...) {
			held = rest
		} else {
			i++
		}
	}
	return held
}

// movable reports whether h's pod may be moved: it runs, may be taken, stops
// alone, and its workload has moves left.
func (m *mover) movable(h *holding) bool {
	w, e := h.w, m.e
	if w == nil || w == m.w || h.pod == nil || h.pod.state != granted || h.in&inLater == 0 || h.in&inFixed != 0 {
		return false
	}
	if w.Min > 1 && w.later <= w.Min || w.Moves <= w.moved {
		return false
	}
	if w.booking != nil || w.Suspended { // its successor would not start
		return false
	}
	if h.pod.round == e.decides { // not in the same breath
		e.again = true
		return false
	}
	if until := h.pod.since + Time(w.MinRuntime); w.MinRuntime > 0 && until > e.now {
		e.preyAt = earliest(e.preyAt, until)
		return false
	}
	return true
}

// hasHome reports whether a pod of s fits anywhere as it is. What is to be
// placed does not.
func (m *mover) hasHome(s *shape) bool {
	has, known := m.homes[s]
	if !known {
		has = s != m.shape && m.e.best(m.e.tree(s, m.pool), m.placed) != nil
		m.homes[s] = has
	}
	return has
}

// try places the pod where w makes room, and lets each who has to leave settle
// elsewhere. If one cannot, nothing changes.
func (m *mover) try(w way, settle func(*holding) []relocation) (*holding, []relocation) {
	e := m.e
	mark := e.mark()
	for _, h := range w.held {
		if !m.movable(h) { // not with the others
			e.back(mark)
			return nil, nil
		}
		e.put(h, h.in&^inLater)
	}
	h := e.lay(m.pod, m.shape, w.node, later)
	if h == nil || !m.allowed(h) {
		e.back(mark)
		return nil, nil
	}
	e.put(h, inLater|inFixed)
	var moves []relocation
	for _, from := range w.held {
		more := settle(from)
		if more == nil {
			e.back(mark)
			return nil, nil
		}
		moves = append(moves, more...)
	}
	return h, moves
}

// rehome moves from's pod home.
func (m *mover) rehome(from *holding) []relocation {
	n := m.e.best(m.e.tree(from.shape, m.pool), m.placed)
	if n == nil {
		return nil
	}
	return m.seat(from, n, now)
}

// seat moves from's pod to n, if there is room for it in v and its owner may
// be charged for it.
func (m *mover) seat(from *holding, n *node, v view) []relocation {
	if m.e.slots(from.shape, n, v, 1) == 0 || !m.e.fits(from.shape, n, m.placed) {
		return nil
	}
	to := m.e.lay(from.pod, from.shape, n, v)
	if to == nil {
		return nil
	}
	if where, _ := from.acct().gate(to.charge, false); where != nil {
		return nil
	}
	to.seat = true
	m.e.put(to, inLater|inFixed)
	return []relocation{{from: from, to: to}}
}

// exchange moves from's pod to the place of another, and that one to what is
// left where from is, or home. It goes by shapes: those of which a pod could
// go, and the nodes where one leaves room enough.
func (m *mover) exchange(from *holding) []relocation {
	e, s := m.e, from.shape
	if s.moving {
		return nil
	}
	r, outlines, names := e.roster(m.pool), e.outlines(m.pool), e.byNames(m.pool)
	fixed := e.bounds(e.tree(s, m.pool)).fixed
	for _, t := range r.shapes {
		stays := e.slots(t, from.node, later, 1) > 0 && e.fits(t, from.node, nil)
		if t == s || t.moving || !stays && !m.hasHome(t) {
			continue
		}
		e.effort--
		on := r.on[t]
		for rank := on.next(0); rank >= 0; rank = on.next(rank + 1) {
			leaf := names[rank]
			if fixed[leaf] == 0 || !e.couldReplace(s, t, &outlines[leaf]) {
				continue
			}
			if moves := m.swap(from, t, m.pool.nodes[leaf]); moves != nil {
				return moves
			}
		}
	}
	return nil
}

// swap lets from's pod and one of t on n change places.
func (m *mover) swap(from *holding, t *shape, n *node) []relocation {
	e := m.e
	if n == from.node {
		return nil
	}
	var best *way
	for _, h := range n.holders {
		if h.shape != t || !e.fitsWithout(from.shape, n, h) || !m.movable(h) {
			continue
		}
		if w := e.wayOf(n, h); best == nil || wayCmp(w, *best) < 0 {
			best = &w
		}
	}
	if best == nil {
		return nil
	}
	h, mark := best.held[0], e.mark()
	e.put(h, h.in&^inLater)
	if moves := m.seat(from, n, later); moves != nil {
		second := m.seat(h, from.node, later)
		if second == nil {
			second = m.rehome(h)
		}
		if second != nil {
			return append(moves, second...)
		}
	}
	e.back(mark)
	return nil
}
