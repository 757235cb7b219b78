package sched

import "math"

// top is the first leaf of a ladder: a heap of the leaves of one group, the best
// on top. A tree keeps the tops of all its ladders side by side, since most
// questions are about those only.
type top struct {
	score int64
	rank  int32
	leaf  int32
}

// before is the order of leaves: higher scores first, then the first by name.
func (a top) before(b top) bool {
	if a.score != b.score {
		return a.score > b.score
	}
	return a.rank < b.rank
}

// noTop is the top of an empty ladder.
var noTop = top{score: noScore, rank: math.MaxInt32, leaf: -1}

// highest is before the top of any ladder.
var highest = top{score: math.MaxInt64, rank: -1}

// topOf returns a leaf as it would be on top.
func (t *tree) topOf(x int32) top {
	return top{score: t.leaves[x].score, rank: t.leaves[x].rank, leaf: x}
}

// better is the order of a ladder.
func (t *tree) better(a, b int32) bool { return t.topOf(a).before(t.topOf(b)) }

// add puts a leaf at the end of its ladder, out of order.
func (t *tree) add(x int32) {
	l := &t.leaves[x]
	g := int(l.group)
	for g >= len(t.ladders) {
		t.ladders = append(t.ladders, nil)
		t.tops = append(t.tops, noTop)
	}
	t.ladders[g] = append(t.ladders[g], x)
	t.put(l.group, len(t.ladders[g])-1, x)
}

// put lets a leaf take a place in the ladder of group g.
func (t *tree) put(g int32, i int, x int32) {
	t.ladders[g][i] = x
	t.leaves[x].at = int32(i)
	if i == 0 {
		t.tops[g] = t.topOf(x)
	}
}

// remove takes a leaf out of its ladder.
func (t *tree) remove(x int32) {
	i, g := int(t.leaves[x].at), t.leaves[x].group
	h := t.ladders[g]
	last := len(h) - 1
	moved := h[last]
	t.ladders[g], t.leaves[x].at = h[:last], -1
	switch {
	case i < last:
		t.put(g, i, moved)
		t.fix(g, moved)
	case last == 0:
		t.tops[g] = noTop
	}
}

// fix puts a leaf of group g, whose score changed, where it belongs.
func (t *tree) fix(g, x int32) {
	i := int(t.leaves[x].at)
	if !t.up(g, i) {
		t.down(g, i)
	}
}

// order makes a ladder of the leaves of group g that are in any order.
func (t *tree) order(g int32) {
	for i := len(t.ladders[g])/2 - 1; i >= 0; i-- {
		t.down(g, i)
	}
	if len(t.ladders[g]) > 0 {
		t.tops[g] = t.topOf(t.ladders[g][0])
	}
}

func (t *tree) up(g int32, i int) bool {
	h := t.ladders[g]
	x, moved := h[i], false
	for i > 0 {
		parent := (i - 1) / 2
		if !t.better(x, h[parent]) {
			break
		}
		t.put(g, i, h[parent])
		i, moved = parent, true
	}
	t.put(g, i, x)
	return moved
}

func (t *tree) down(g int32, i int) {
	h := t.ladders[g]
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
		t.put(g, i, h[child])
		i = child
	}
	t.put(g, i, x)
}
