package sched

import "iter"

// changes is the list of a pool's nodes that changed, oldest first. Everything
// derived from nodes is repaired from it: each reader keeps the place up to
// which what it knows is true.
type changes struct {
	leaves []int32 // indices in pool.nodes
	base   int     // the place of leaves[0]
	last   []int   // by leaf: the place of its last change
	recent int     // the place after which sleepers go by changes; before it, they look again
}

// end is the place up to which there are changes.
func (c *changes) end() int { return c.base + len(c.leaves) }

// note adds a change of the node at a leaf. It keeps the list short: it is
// never useful to read more changes than there are nodes, so readers that are
// further behind start afresh.
func (c *changes) note(leaf, nodes int) {
	for len(c.last) < nodes {
		c.last = append(c.last, 0)
	}
	c.last[leaf] = c.end()
	c.leaves = append(c.leaves, int32(leaf))
	if limit := 4*nodes + 64; c.end()-c.recent > limit {
		c.recent = c.end() - limit/2
		c.trim(limit / 2)
	}
}

// trim keeps so many changes.
func (c *changes) trim(most int) {
	if drop := len(c.leaves) - most; drop > 0 {
		c.base += drop
		c.leaves = append(c.leaves[:0], c.leaves[drop:]...)
	}
}

// age makes all changes old ones.
func (c *changes) age(nodes int) {
	c.recent = c.end()
	c.trim(2 * nodes)
}

// forget makes all readers start afresh.
func (c *changes) forget() {
	c.leaves, c.base = nil, c.end()+1
	c.recent = c.base
}

// lostTrack reports whether a reader that knows so many nodes as they were at a
// place has to start afresh.
func (p *pool) lostTrack(read, known int) bool {
	return known != len(p.nodes) || read < p.changes.base
}

// since yields the leaves that changed since a place which the list reaches,
// each once.
func (c *changes) since(read int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, leaf := range c.leaves[read-c.base:] {
			if c.last[leaf] == read+i && !yield(int(leaf)) {
				return
			}
		}
	}
}
