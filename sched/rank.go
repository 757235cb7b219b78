package sched

import (
	"cmp"
	"slices"
)

// tree ranks the nodes of a pool for one shape: heaps of those that fit, by
// score, and the sum of the pods that fit. It is repaired lazily from the
// pool's changes. Rules that look beyond a node's own score keep nodes in
// several heaps; see [pricing].
type tree struct {
	shape *shape
	pool  *pool
	read  int       // place in the changes up to which scores and slots are true
	heaps [][]int32 // by group, leaves with the best on top
	group []int32   // by leaf: its heap
	at    []int32   // by leaf: its place there; -1 none
	rank  []int32   // by leaf: the place of its node by name, for ties
	score []int64   // by leaf; unfit is noScore
	guess []bool    // by leaf: score is the most it can be; see lazy
	slots []int64   // by leaf, in view now
	sum   int64

	bound bounds

	// moveFails, moveHope and nextMove pace consolidation; see moveDue.
	moveFails int
	moveHope  hope
	nextMove  Time
}

// bounds are a tree's sums in the views that planning reasons with.
type bounds struct {
	read         int
	later, fixed []int64
	sumLater     int64
	sumFixed     int64
}

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
		t.bound.read = -1
		s.trees[p.index] = t
	}
	return t
}

func (e *Engine) repair(t *tree) {
	p := t.pool
	if p.tooMany(t.read, len(t.score)) {
		e.build(t)
		t.read = p.changes.end()
		return
	}
	for leaf := range p.changes.since(t.read) {
		n := p.nodes[leaf]
		if t.slots[leaf] == 0 && t.shape.whole && n.room().empty < int64(t.shape.ask.Devices) && !n.Counted {
			continue // it did not fit and does not; most changes are such, for most shapes
		}
		e.rerank(t, leaf)
	}
	t.read = p.changes.end()
}

// build makes the tree afresh. Bare nodes of one kind offer the same, so the
// first of them answers for all.
func (e *Engine) build(t *tree) {
	n := len(t.pool.nodes)
	t.score = slices.Grow(t.score[:0], n)[:n]
	t.guess = slices.Grow(t.guess[:0], n)[:n]
	t.slots = slices.Grow(t.slots[:0], n)[:n]
	t.group = slices.Grow(t.group[:0], n)[:n]
	t.at = slices.Grow(t.at[:0], n)[:n]
	t.rank = slices.Grow(t.rank[:0], n)[:n]
	t.heaps, t.sum = nil, 0
	bare := map[int32]int{}
	_, each := e.rule(t.pool, t.shape).(random)
	for i, n := range t.pool.nodes {
		t.rank[i] = n.rank
		like := i
		if len(n.holders) == 0 && !n.gone && t.shape.ask.Fit == "" && !each {
			if first, ok := bare[n.kind]; ok {
				like = first
			} else {
				bare[n.kind] = i
			}
		}
		if like == i {
			e.offer(t, i)
		} else {
			t.slots[i], t.score[i], t.guess[i], t.group[i] = t.slots[like], t.score[like], t.guess[like], t.group[like]
		}
		t.sum += t.slots[i]
		if t.at[i] = -1; t.score[i] != noScore {
			t.add(int32(i))
		}
	}
	for _, h := range t.heaps {
		for i := len(h)/2 - 1; i >= 0; i-- {
			t.down(h, i)
		}
	}
}

// offer works out what the node at a leaf offers to the tree's shape now: room,
// score (or a guess at it) and group.
func (e *Engine) offer(t *tree, leaf int) {
	n := t.pool.nodes[leaf]
	t.slots[leaf], t.score[leaf], t.guess[leaf], t.group[leaf] = 0, noScore, false, 0
	slots := e.slots(t.shape, n, now, manySlots)
	if slots <= 0 || !t.shape.moving && !e.fits(t.shape, n, nil) {
		return
	}
	rule := e.rule(t.pool, t.shape)
	if p, ok := rule.(pricing); ok {
		t.group[leaf] = p.group(e, n)
	}
	t.slots[leaf] = slots
	if l, ok := rule.(lazy); ok {
		t.score[leaf], t.guess[leaf] = l.most(), true
	} else {
		t.score[leaf] = rule.node(e, t.shape, n)
	}
}

// rerank works out anew what the node at a leaf offers, and its rank.
func (e *Engine) rerank(t *tree, leaf int) {
	x, i := int32(leaf), t.at[leaf]
	slots, score, group := t.slots[leaf], t.score[leaf], t.group[leaf]
	e.offer(t, leaf)
	t.sum += t.slots[leaf] - slots
	if i >= 0 && (t.score[leaf] == noScore || t.group[leaf] != group) {
		t.remove(x, group)
	}
	switch {
	case t.score[leaf] == noScore:
	case t.at[leaf] < 0:
		t.add(x)
		t.up(t.heaps[t.group[leaf]], int(t.at[leaf]))
	case t.score[leaf] != score:
		if h := t.heaps[group]; !t.up(h, int(i)) {
			t.down(h, int(i))
		}
	}
}

// know replaces the guess at the score of a leaf by the score.
func (e *Engine) know(t *tree, x int32) {
	t.guess[x] = false
	t.score[x] = e.rule(t.pool, t.shape).node(e, t.shape, t.pool.nodes[x])
}

// knowAll leaves no guesses in t.
func (e *Engine) knowAll(t *tree) {
	for _, h := range t.heaps {
		for i := len(h) - 1; i >= 0; i-- {
			if t.guess[h[i]] {
				e.know(t, h[i])
				t.down(h, i)
			}
		}
	}
}

// add puts a leaf at the end of its heap, out of order.
func (t *tree) add(x int32) {
	g := int(t.group[x])
	for g >= len(t.heaps) {
		t.heaps = append(t.heaps, nil)
	}
	t.at[x] = int32(len(t.heaps[g]))
	t.heaps[g] = append(t.heaps[g], x)
}

// remove takes a leaf out of the heap of group g.
func (t *tree) remove(x, g int32) {
	i, h := int(t.at[x]), t.heaps[g]
	last := len(h) - 1
	h[i] = h[last]
	t.at[h[i]] = int32(i)
	h = h[:last]
	t.heaps[g], t.at[x] = h, -1
	if i < last && !t.up(h, i) {
		t.down(h, i)
	}
}

func (t *tree) up(h []int32, i int) bool {
	x, moved := h[i], false
	for i > 0 {
		parent := (i - 1) / 2
		if !t.better(x, h[parent]) {
			break
		}
		h[i] = h[parent]
		t.at[h[i]] = int32(i)
		i, moved = parent, true
	}
	h[i], t.at[x] = x, int32(i)
	return moved
}

func (t *tree) down(h []int32, i int) {
	x := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && t.better(h[child+1], h[child]) {
			child++
		}
		if !t.better(h[child], x) {
			break
		}
		h[i] = h[child]
		t.at[h[i]] = int32(i)
		i = child
	}
	h[i], t.at[x] = x, int32(i)
}

// better is the order of a heap: higher scores first, then the first by name.
func (t *tree) better(a, b int32) bool {
	if t.score[a] != t.score[b] {
		return t.score[a] > t.score[b]
	}
	return t.rank[a] < t.rank[b]
}

// top returns the leaf that is best, what the rule charges beside its score
// included; -1 when nothing fits. Of each heap it looks as far as it could have
// the best.
func (e *Engine) top(t *tree) int32 {
	best, bestScore := int32(-1), int64(0)
	p, priced := e.rule(t.pool, t.shape).(pricing)
	priced = priced && len(t.heaps) > 1 && p.priced(e, t.pool)
	beats := func(x int32, score int64) bool {
		return best < 0 || score > bestScore || score == bestScore && t.rank[x] < t.rank[best]
	}
	for _, h := range t.heaps {
		for len(h) > 0 && t.guess[h[0]] && beats(h[0], t.score[h[0]]) {
			e.know(t, h[0])
			t.down(h, 0)
		}
		if len(h) == 0 || !beats(h[0], t.score[h[0]]) {
			continue
		}
		score := t.score[h[0]]
		if priced {
			score -= p.price(e, t.shape, t.pool.nodes[h[0]])
		}
		if beats(h[0], score) {
			best, bestScore = h[0], score
		}
	}
	return best
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
	var order []int32
	for i, s := range t.score {
		if s != noScore {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.score[b], t.score[a]), cmp.Compare(t.pool.nodes[a].rank, t.pool.nodes[b].rank))
	})
	for _, i := range order {
		if n := t.pool.nodes[i]; e.fits(t.shape, n, others) {
			return n
		}
	}
	return nil
}
