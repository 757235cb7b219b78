package sched

import (
	"cmp"
	"slices"
)

// outline bounds what a node has to offer in view now, to any shape. It is
// worked out once for each change, and small: a tree passes over the nodes that
// cannot matter to its shape, most of those that changed, without a look at
// them.
type outline struct {
	cpu, memory int64 // left; below 0 where nothing may start
	comp        int64 // free on the device that has the most, if it can be shared
	empty       int32 // devices that nobody uses
	class       int32 // of all devices; -1 when there are several or none
	group       int32 // by the rule of the pool; see pricing
	rank        int32 // place by name among the nodes of the pool
}

// outlines returns those of p's nodes, repaired.
func (e *Engine) outlines(p *pool) []outline {
	if p.outlined == p.changes.end() && len(p.outlines) == len(p.nodes) {
		return p.outlines
	}
	by, _ := gpuRule(p.GPUPlacement).(pricing)
	set := func(leaf int) {
		o := p.nodes[leaf].outline()
		o.rank = p.outlines[leaf].rank
		if by != nil {
			o.group = by.group(e, p.nodes[leaf])
		}
		p.outlines[leaf] = o
	}
	if p.lostTrack(p.outlined, len(p.outlines)) {
		p.outlines = make([]outline, len(p.nodes))
		p.rankNodes()
		for leaf := range p.nodes {
			set(leaf)
		}
	} else {
		for leaf := range p.changes.since(p.outlined) {
			set(leaf)
		}
	}
	p.outlined = p.changes.end()
	return p.outlines
}

// rankNodes puts p's nodes in order of their names.
func (p *pool) rankNodes() {
	p.byName = make([]int32, len(p.nodes))
	for leaf := range p.nodes {
		p.byName[leaf] = int32(leaf)
	}
	slices.SortFunc(p.byName, func(a, b int32) int { return cmp.Compare(p.nodes[a].rank, p.nodes[b].rank) })
	for rank, leaf := range p.byName {
		p.outlines[leaf].rank = int32(rank)
	}
}

// byNames returns the indices of p's nodes in order of their names: what is
// looked for goes by it, since nobody promises the order in which nodes appear.
func (e *Engine) byNames(p *pool) []int32 {
	e.outlines(p)
	return p.byName
}

func (n *node) outline() outline {
	if !n.open() {
		return outline{cpu: -1, class: -1}
	}
	o := outline{
		cpu: max(n.left(resCPU, now), 0), memory: max(n.left(resMemory, now), 0),
		empty: int32(n.room().empty), class: -1,
	}
	if n.uniform && len(n.devices) > 0 {
		o.class = n.devices[0].class
	}
	if n.Counted { // a device plugin hands out no parts
		return o
	}
	for i := range n.devices {
		_, comp, _ := n.devices[i].free(now)
		o.comp = max(o.comp, comp)
	}
	return o
}

// hopeless reports that no pod of s fits a node with that outline. False says
// nothing.
func (e *Engine) hopeless(s *shape, o *outline) bool {
	if o.cpu < s.need[resCPU] || o.memory < s.need[resMemory] {
		return true
	}
	k := s.ask.Devices
	switch {
	case k == 0:
		return false
	case s.whole:
		return int(o.empty) < k || o.class >= 0 && !e.cut(s, o.class).ok
	case o.class < 0:
		return o.comp == 0
	}
	c := e.cut(s, o.class)
	return !c.ok || o.comp < c.comp
}
