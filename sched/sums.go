package sched

// bounds are a tree's sums in the views that planning reasons with.
type bounds struct {
	read         int
	later, fixed []int64
	sumLater     int64
	sumFixed     int64
}

// free is how many pods fit in view now, by leaf, and in all.
type free struct {
	read  int
	slots []int64
	sum   int64
}

// holds reports whether so many pods of t's shape fit in view now, by number.
func (e *Engine) holds(t *tree, pods int) bool {
	if pods == 1 {
		return e.first(t, sky).leaf >= 0
	}
	return e.free(t).sum >= int64(pods)
}

// free returns how many pods of t's shape fit now, repaired.
func (e *Engine) free(t *tree) *free {
	f, p := &t.free, t.pool
	outlines := e.outlines(p)
	set := func(leaf int) {
		f.sum -= f.slots[leaf]
		f.slots[leaf] = 0
		if e.hopeless(t.shape, &outlines[leaf]) {
			return
		}
		n := p.nodes[leaf]
		if slots := e.slots(t.shape, n, now, manySlots); slots > 0 && (t.shape.moving || e.fits(t.shape, n, nil)) {
			f.slots[leaf] = slots
		}
		f.sum += f.slots[leaf]
	}
	if p.lostTrack(f.read, len(f.slots)) {
		f.slots, f.sum = make([]int64, len(p.nodes)), 0
		for leaf := range p.nodes {
			set(leaf)
		}
	} else {
		for leaf := range p.changes.since(f.read) {
			set(leaf)
		}
	}
	f.read = p.changes.end()
	return f
}

// bounds returns the tree's planning bounds, repaired.
func (e *Engine) bounds(t *tree) *bounds {
	b, p := &t.bound, t.pool
	set := func(leaf int) {
		n := p.nodes[leaf]
		b.sumLater -= b.later[leaf]
		b.sumFixed -= b.fixed[leaf]
		b.later[leaf], b.fixed[leaf] = 0, 0
		if fit := e.slots(t.shape, n, fixed, manySlots); fit > 0 && (t.shape.moving || e.fits(t.shape, n, nil)) {
			b.fixed[leaf] = fit
			b.later[leaf] = e.slots(t.shape, n, later, manySlots)
		}
		b.sumLater += b.later[leaf]
		b.sumFixed += b.fixed[leaf]
	}
	if p.lostTrack(b.read, len(b.later)) {
		b.later, b.fixed = make([]int64, len(p.nodes)), make([]int64, len(p.nodes))
		b.sumLater, b.sumFixed = 0, 0
		for leaf := range p.nodes {
			set(leaf)
		}
	} else {
		for leaf := range p.changes.since(b.read) {
			set(leaf)
		}
	}
	b.read = p.changes.end()
	return b
}
