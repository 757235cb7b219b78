package sched

import (
	"cmp"
	"slices"
)

// tree ranks the nodes of a pool for one shape: ladders of those that may fit,
// by score. It is repaired lazily from the pool's changes, and no more than it
// takes to know the best: nodes that may offer more than they did are marked, and
// looked at when only they could be better; one that offers less is found out
// when it comes to the top. Rules that look beyond a node's own score keep nodes
// in several ladders; see [pricing].
type tree struct {
	shape   *shape
	pool    *pool
	read    int      // place in the changes up to which no leaf without a mark offers more than it says
	outlook *outlook // by which nodes are scored; see outlookOf
	rule    rule
	pricing pricing // the rule, if it is one
	lazy    lazy    // the rule, if it is one
	leaves  []leaf
	ladders [][]rung // by group
	tops    []rung   // of the ladders
	marked  marks    // by rank; for a lazy rule

	free  free
	bound bounds

	// moveFails, moveHope and nextMove pace consolidation; see moveDue.
	moveFails int
	moveHope  hope
	nextMove  Time
}

// leaf is what a tree knows of a node.
type leaf struct {
	score int64 // the most it can be, but for those marked; noScore when nothing fits
	known int   // place in the changes at which score was worked out; guessed for never
	group int32 // its ladder
	at    int32 // its place there; -1 none
	rank  int32 // see outline
}

const guessed = -1

const (
	noScore   = int64(-1 << 63)
	manySlots = int64(1 << 20)
)

// tree returns the repaired tree of s in p.
func (e *Engine) tree(s *shape, p *pool) *tree {
	t := s.treeIn(p)
	e.repair(t)
	return t
}

// treeIn returns the tree of s in p as it is, making it when it is new.
func (s *shape) treeIn(p *pool) *tree {
	for p.index >= len(s.trees) {
		s.trees = append(s.trees, nil)
	}
	t := s.trees[p.index]
	if t == nil {
		t = &tree{shape: s, pool: p, read: -1}
		t.bound.read, t.free.read = -1, -1
		s.trees[p.index] = t
	}
	return t
}

func (e *Engine) repair(t *tree) {
	p := t.pool
	if p.lostTrack(t.read, len(t.leaves)) || t.outlook != e.outlookOf(p) {
		e.build(t)
		return
	}
	if t.read == p.changes.end() {
		return
	}
	outlines := e.outlines(p)
	for leaf := range p.changes.since(t.read) {
		switch o := &outlines[leaf]; {
		case e.hopeless(t.shape, o):
		case t.lazy != nil:
			t.marked.add(o.rank)
		default:
			e.know(t, int32(leaf))
		}
	}
	t.read = p.changes.end()
}

// raise lets a leaf that is marked stand as high as it can.
func (e *Engine) raise(t *tree, x int32) {
	l := &t.leaves[x]
	hopeless := e.hopeless(t.shape, e.regroup(t, x)) // what it offered may be gone again
	if hopeless || l.at >= 0 && l.score == t.lazy.most() {
		return
	}
	l.score, l.known = t.lazy.most(), guessed
	if l.at < 0 {
		t.add(x)
	}
	t.fix(x)
}

// regroup puts a leaf into the group in which it is now, and takes its mark away.
func (e *Engine) regroup(t *tree, x int32) *outline {
	l, o := &t.leaves[x], &e.outlines(t.pool)[x]
	t.marked.drop(o.rank)
	if l.group != o.group {
		if l.at >= 0 {
			t.remove(x)
		}
		l.group = o.group
	}
	return o
}

// outlookOf is the outlook by which the nodes of p are scored lazily, if any: in
// other pools scores are forgotten when the outlook changes.
func (e *Engine) outlookOf(p *pool) *outlook {
	if p.GPUPlacement == Dense {
		return e.outlook
	}
	return nil
}

// build makes the tree afresh.
func (e *Engine) build(t *tree) {
	n := len(t.pool.nodes)
	t.read, t.outlook = t.pool.changes.end(), e.outlookOf(t.pool)
	t.rule = e.rule(t.pool, t.shape)
	t.pricing, _ = t.rule.(pricing)
	t.lazy, _ = t.rule.(lazy)
	t.leaves = slices.Grow(t.leaves[:0], n)[:n]
	for g := range t.ladders {
		t.ladders[g], t.tops[g] = t.ladders[g][:0], ground
	}
	outlines := e.outlines(t.pool)
	for i := range t.leaves {
		t.leaves[i] = leaf{score: noScore, known: guessed, at: -1, rank: outlines[i].rank}
	}
	if t.lazy != nil {
		t.marked = newMarks(n)
		for i := range outlines {
			if o := &outlines[i]; !e.hopeless(t.shape, o) {
				t.marked.add(o.rank)
			}
		}
		return
	}
	e.offerAll(t)
	offers := 0
	for i := range t.leaves {
		offers += b2i(t.leaves[i].score != noScore)
	}
	t.reserve(offers)
	for i := range t.leaves {
		if t.leaves[i].score != noScore {
			t.add(int32(i))
		}
	}
	for g := range t.ladders {
		t.order(int32(g))
	}
}

// offerAll works out what all nodes offer. Bare nodes of one kind offer the
// same, so the first of them answers for all.
func (e *Engine) offerAll(t *tree) {
	bare := map[int32]int{}
	_, each := t.rule.(random)
	for i, n := range t.pool.nodes {
		if len(n.holders) == 0 && !n.gone && t.shape.ask.Fit == "" && !each {
			if first, ok := bare[n.kind]; ok {
				l, like := &t.leaves[i], &t.leaves[first]
				l.score, l.known = like.score, like.known
				continue
			}
			bare[n.kind] = i
		}
		e.offer(t, i)
	}
}

// offer works out what the node at a leaf offers to the tree's shape now.
func (e *Engine) offer(t *tree, leaf int) {
	n, l := t.pool.nodes[leaf], &t.leaves[leaf]
	l.score, l.known = noScore, t.pool.changes.end()
	if e.slots(t.shape, n, now, 1) <= 0 || !t.shape.moving && !e.fits(t.shape, n, nil) {
		return
	}
	l.score = t.rule.node(e, t.shape, n)
}

// know works out what a leaf offers, and puts it where that belongs.
func (e *Engine) know(t *tree, x int32) {
	if t.lazy != nil {
		e.regroup(t, x)
	}
	e.offer(t, int(x))
	switch l := &t.leaves[x]; {
	case l.score == noScore && l.at >= 0:
		t.remove(x)
	case l.score == noScore:
	default:
		if l.at < 0 {
			t.add(x)
		}
		t.fix(x)
	}
}

// knows reports whether what a leaf says is what its node offers.
func (t *tree) knows(x int32) bool { return t.leaves[x].known > t.pool.changes.last[x] }

// knowAll leaves nothing in t that is not known.
func (e *Engine) knowAll(t *tree) {
	for x := t.markedBefore(ground); x >= 0; x = t.markedBefore(ground) {
		e.raise(t, x)
	}
	for _, r := range slices.Concat(t.ladders...) {
		if !t.knows(r.leaf) {
			e.know(t, r.leaf)
		}
	}
}

// markedBefore returns the first leaf that is marked if it could be before another; -1
// when it could not, or none is.
func (t *tree) markedBefore(other rung) int32 {
	rank := int32(-1)
	if t.lazy != nil {
		rank = t.marked.least()
	}
	if rank < 0 || !(rung{score: t.lazy.most(), rank: rank}).before(other) {
		return -1
	}
	return t.pool.byName[rank]
}

// first returns the best of the tops, by score alone, that come after one of
// them; ground when there is none. Its score is known.
func (e *Engine) first(t *tree, after rung) rung {
	for {
		next := ground
		for _, r := range t.tops {
			if r.before(next) && after.before(r) {
				next = r
			}
		}
		for x := t.markedBefore(next); x >= 0; x = t.markedBefore(next) {
			e.raise(t, x)
			if l := &t.leaves[x]; l.at >= 0 && t.tops[l.group].before(next) && after.before(t.tops[l.group]) {
				next = t.tops[l.group]
			}
		}
		if next.leaf < 0 || t.knows(next.leaf) {
			return next
		}
		e.know(t, next.leaf)
	}
}

// top returns the leaf that is best, what the rule charges beside its score
// included; -1 when nothing fits. It goes through the best of the groups as far
// as a price can make one the best.
func (e *Engine) top(t *tree) int32 {
	next := e.first(t, sky)
	if t.pricing == nil || !t.pricing.priced(e, t.pool) {
		return next.leaf
	}
	best := ground
	for ; next.before(best); next = e.first(t, next) {
		x := next
		x.score -= t.pricing.price(e, t.shape, t.pool.nodes[next.leaf])
		if x.before(best) {
			best = x
		}
	}
	return best.leaf
}

// best returns the best node for one pod, or nil. For shapes whose fitness
// depends on other pods it tries nodes from the best down.
func (e *Engine) best(t *tree, others []Placement) *node {
	if !t.shape.moving {
		if at := e.top(t); at >= 0 {
			return t.pool.nodes[at]
		}
		return nil
	}
	e.knowAll(t)
	order := slices.Concat(t.ladders...)
	slices.SortFunc(order, func(a, b rung) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.rank, b.rank)) })
	for _, r := range order {
		if n := t.pool.nodes[r.leaf]; e.fits(t.shape, n, others) {
			return n
		}
	}
	return nil
}
