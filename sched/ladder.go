package sched

import (
	"math"
	"slices"
)

// rung is a leaf in a ladder: a heap of the leaves of one group, the best on top.
// A tree keeps the tops of all its ladders side by side, since most questions are
// about those only.
type rung struct {
	score int64
	rank  int32
	leaf  int32
}

// before is the order of leaves: higher scores first, then the first by name.
func (a rung) before(b rung) bool {
	if a.score != b.score {
		return a.score > b.score
	}
	return a.rank < b.rank
}

var (
	// ground is the top of an empty ladder.
	ground = rung{score: noScore, rank: math.MaxInt32, leaf: -1}
	// sky is before the top of any ladder.
	sky = rung{score: math.MaxInt64, rank: -1, leaf: -1}
)

// rung returns a leaf as it stands in a ladder.
func (t *tree) rung(x int32) rung {
	return rung{score: t.leaves[x].score, rank: t.leaves[x].rank, leaf: x}
}

// reserve makes room for n leaves, all of the first group: they have no other
// where scores are not lazy.
func (t *tree) reserve(n int) {
	if len(t.ladders) == 0 {
		t.ladders, t.tops = append(t.ladders, nil), append(t.tops, ground)
	}
	t.ladders[0] = slices.Grow(t.ladders[0], n)
}

// add puts a leaf at the end of its ladder, out of order.
func (t *tree) add(x int32) {
	g := int(t.leaves[x].group)
	for g >= len(t.ladders) {
		t.ladders = append(t.ladders, nil)
		t.tops = append(t.tops, ground)
	}
	t.ladders[g] = append(t.ladders[g], rung{})
	t.put(int32(g), len(t.ladders[g])-1, t.rung(x))
}

// put lets a leaf take a place in the ladder of group g.
func (t *tree) put(g int32, i int, r rung) {
	t.ladders[g][i] = r
	t.leaves[r.leaf].at = int32(i)
	if i == 0 {
		t.tops[g] = r
	}
}

// remove takes a leaf out of its ladder.
func (t *tree) remove(x int32) {
	i, g := int(t.leaves[x].at), t.leaves[x].group
	h := t.ladders[g]
	last := len(h) - 1
	moved := h[last]
	t.ladders[g], t.leaves[x].at, t.leaves[x].score = h[:last], -1, noScore
	switch {
	case i < last:
		t.ladders[g][i] = moved
		t.settle(g, i)
	case last == 0:
		t.tops[g] = ground
	}
}

// fix puts a leaf whose score changed where it belongs in its ladder.
func (t *tree) fix(x int32) {
	i, g := int(t.leaves[x].at), t.leaves[x].group
	t.ladders[g][i] = t.rung(x)
	t.settle(g, i)
}

// settle puts one leaf of a ladder where it belongs, up or down.
func (t *tree) settle(g int32, i int) {
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
		t.tops[g] = t.ladders[g][0]
	}
}

func (t *tree) up(g int32, i int) bool {
	h := t.ladders[g]
	r, moved := h[i], false
	for i > 0 {
		parent := (i - 1) / 2
		if !r.before(h[parent]) {
			break
		}
		t.put(g, i, h[parent])
		i, moved = parent, true
	}
	if moved {
		t.put(g, i, r)
	}
	return moved
}

func (t *tree) down(g int32, i int) {
	h := t.ladders[g]
	r := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(r) {
			break
		}
		t.put(g, i, h[child])
		i = child
	}
	t.put(g, i, r)
}
