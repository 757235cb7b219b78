package sched

import (
	"cmp"
	"slices"
)

// roster knows on which nodes of a pool pods of each shape run that somebody
// may take. Nodes go by their place in the order of names.
type roster struct {
	read   int
	shapes []*shape          // by key
	on     map[*shape]*marks // the nodes
	at     [][]*shape        // by node
}

// roster returns the repaired roster of p.
func (e *Engine) roster(p *pool) *roster {
	r, outlines := &p.roster, e.outlines(p)
	if p.lostTrack(r.read, len(r.at)) {
		*r = roster{on: map[*shape]*marks{}, at: make([][]*shape, len(p.nodes))}
		for leaf := range p.nodes {
			r.list(p.nodes[leaf], outlines[leaf].rank)
		}
	} else {
		for leaf := range p.changes.since(r.read) {
			r.list(p.nodes[leaf], outlines[leaf].rank)
		}
	}
	r.read = p.changes.end()
	return r
}

// list brings up to date what is known of n.
func (r *roster) list(n *node, rank int32) {
	for _, s := range r.at[rank] {
		r.on[s].drop(rank)
	}
	r.at[rank] = r.at[rank][:0]
	for _, h := range n.holders {
		if h.w == nil || h.in&inFixed != 0 || slices.Contains(r.at[rank], h.shape) {
			continue
		}
		r.of(h.shape).add(rank)
		r.at[rank] = append(r.at[rank], h.shape)
	}
}

// of returns the nodes of s.
func (r *roster) of(s *shape) *marks {
	if r.on[s] == nil {
		m := newMarks(len(r.at))
		r.on[s] = &m
		at, _ := slices.BinarySearchFunc(r.shapes, s, func(x, y *shape) int { return cmp.Compare(x.key, y.key) })
		r.shapes = slices.Insert(r.shapes, at, s)
	}
	return r.on[s]
}
