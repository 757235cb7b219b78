package sched

// census counts a pool's nodes by how many of their devices nobody uses, in
// the views later, fixed and now. It is shared by all shapes, so that "that
// many whole devices are nowhere" is answered without looking at a node, also
// for a shape that was never seen before.
type census struct {
	read   int
	empty  [3][]int8                // by view and leaf
	counts [3][maxDevices + 1]int64 // nodes by view and number of empty devices
}

var censusViews = [3]view{later, fixed, now}

// census returns the repaired census of p.
func (e *Engine) census(p *pool) *census {
	c := &p.count
	if p.lostTrack(c.read, len(c.empty[0])) {
		*c = census{}
		for i := range c.empty {
			c.empty[i] = make([]int8, len(p.nodes))
			c.counts[i][0] = int64(len(p.nodes))
		}
		for leaf := range p.nodes {
			c.recount(p.nodes[leaf])
		}
	} else {
		for leaf := range p.changes.since(c.read) {
			c.recount(p.nodes[leaf])
		}
	}
	c.read = p.changes.end()
	return c
}

func (c *census) recount(n *node) {
	for i, v := range censusViews {
		k := int8(0)
		if n.open() {
			for j := range n.devices {
				if _, _, unused := n.devices[j].free(v); unused {
					k++
				}
			}
			if n.Counted {
				k = int8(n.uncounted(v))
			}
		}
		c.counts[i][c.empty[i][n.leafAt]]--
		c.counts[i][k]++
		c.empty[i][n.leafAt] = k
	}
}

// atMost bounds how many pods with k whole devices fit in v.
func (c *census) atMost(k int, v view) int64 {
	i := 0
	for censusViews[i] != v {
		i++
	}
	sum := int64(0)
	for empty := k; empty <= maxDevices; empty++ {
		sum += c.counts[i][empty] * int64(empty/k)
	}
	return sum
}

// nowhere reports that a group asks for more whole devices than any nodes have
// unused in v. False says nothing.
func (e *Engine) nowhere(g group, p *pool, v view) bool {
	s := g.shape
	return s.whole && s.ask.Devices > 0 && e.census(p).atMost(s.ask.Devices, v) < int64(len(g.pods))
}
