package state

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// Overlap is the nodes that a pool selects and another pool selects too. They
// belong to the first of the two by name.
type Overlap struct {
	Pool  string // the other
	Nodes int
	Node  string // the first of them
}

// Overlaps returns what a pool, which need not exist yet, shares with those
// that do, in order of their names. It looks at every node.
func (s *State) Overlaps(p *v1alpha1.NodePool) []Overlap {
	found := map[string]*Overlap{}
	for name, n := range s.nodes {
		if n.obj == nil || !p.Selects(n.obj.Labels) {
			continue
		}
		for other, q := range s.pools {
			if other == p.Name || q.obj == nil || !q.obj.Selects(n.obj.Labels) {
				continue
			}
			o := found[other]
			if o == nil {
				o = &Overlap{Pool: other, Node: name}
				found[other] = o
			}
			o.Nodes++
			o.Node = min(o.Node, name)
		}
	}
	var all []Overlap
	for _, other := range slices.Sorted(maps.Keys(found)) {
		all = append(all, *found[other])
	}
	return all
}

// Overlapped returns, by pool, in a sentence, which nodes that it selects
// belong to another. It looks at nodes only if pools or labels have changed
// since it last did.
func (s *State) Overlapped() map[string]string {
	if !s.relabelled {
		return s.overlapped
	}
	s.relabelled, s.overlapped = false, map[string]string{}
	for name, p := range s.pools {
		if p.obj == nil {
			continue
		}
		for _, o := range s.Overlaps(p.obj) {
			if o.Pool < name {
				s.overlapped[name] = o.Lost()
				break
			}
		}
	}
	return s.overlapped
}

// Lost says it of the pool that comes second.
func (o Overlap) Lost() string {
	return fmt.Sprintf("%s that it selects, such as %s, belong to pool %s, which selects them too and comes first by "+
		"name; select each node in one pool only", counted(o.Nodes), o.Node, o.Pool)
}

// Won says it of the pool that comes first.
func (o Overlap) Won() string {
	return fmt.Sprintf("%s that it selects, such as %s, are taken from pool %s, which selects them too and comes "+
		"later by name; select each node in one pool only", counted(o.Nodes), o.Node, o.Pool)
}

func counted(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}
