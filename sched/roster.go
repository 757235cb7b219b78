package sched

import (
	"cmp"
	"slices"
)

// roster knows on which nodes of a pool pods of each shape run that somebody
// may take.
type roster struct {
	read   int
	shapes []*shape          // by key
	on     map[*shape]*marks // the leaves
	at     [][]*shape        // by leaf
}

// roster returns the repaired roster of p.
func (e *Engine) roster(p *pool) *roster {
	r := &p.roster
	if p.lostTrack(r.read, len(r.at)) {
		*r = roster{on: map[*shape]*marks{}, at: make([][]*shape, len(p.nodes))}
		for leaf := range p.nodes {
			r.list(p.nodes[leaf])
		}
	} else {
		for leaf := range p.changes.since(r.read) {
			r.list(p.nodes[leaf])
		}
	}
	r.read = p.changes.end()
	return r
}

// list brings up to date what is known of n.
func (r *roster) list(n *node) {
	leaf := int32(n.leafAt)
	for _, s := range r.at[leaf] {
		r.on[s].drop(leaf)
	}
	r.at[leaf] = r.at[leaf][:0]
	for _, h := range n.holders {
		if h.w == nil || h.in&inFixed != 0 || slices.Contains(r.at[leaf], h.shape) {
			continue
		}
		r.of(h.shape).add(leaf)
		r.at[leaf] = append(r.at[leaf], h.shape)
	}
}

// of returns the leaves of s.
func (r *roster) of(s *shape) *marks {
	if r.on[s] == nil {
		m := newMarks(len(r.at))
		r.on[s] = &m
		at, _ := slices.BinarySearchFunc(r.shapes, s, func(x, y *shape) int { return cmp.Compare(x.key, y.key) })
		r.shapes = slices.Insert(r.shapes, at, s)
	}
	return r.on[s]
}
