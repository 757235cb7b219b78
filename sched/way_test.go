package sched

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What is worked out for a node without one of its pods is what would be found
// by trying, and nothing that fits is passed over by its outline.
func TestFitsWithoutIsAsTried(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawCluster(t)
		for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
			stir(t, e, i)
		}
		for _, p := range e.poolList {
			outlines := slices.Clone(e.outlines(p))
			for _, n := range p.nodes {
				if !n.open() {
					continue
				}
				for _, h := range slices.Clone(n.holders) {
					if h.in&inLater == 0 {
						continue // it has left
					}
					for _, s := range e.shapeList {
						got := e.fitsWithout(s, n, h)
						if want := e.wouldFit(s, h); got != want {
							t.Fatalf("shape %s on %s without %s: fits %v, tried %v", s.key, n.Name, h.pod.id, got, want)
						}
						if got && p.leaving == 0 && !e.couldReplace(s, h.shape, &outlines[n.leafAt]) {
							t.Fatalf("shape %s fits on %s without %s, but not by its outline", s.key, n.Name, h.pod.id)
						}
					}
				}
			}
		}
	})
}

// wouldFit tries whether a pod of s fits where h is, without h.
func (e *Engine) wouldFit(s *shape, h *holding) bool {
	e.begin()
	defer e.rollback()
	e.put(h, h.in&^inLater)
	return e.slots(s, h.node, later, 1) > 0
}

// A roster that was repaired has to equal one that is made anew.
func TestRepairedRosterEqualsNewOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawCluster(t)
		for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
			stir(t, e, i)
			for _, p := range e.poolList {
				e.roster(p)
			}
		}
		for _, p := range e.poolList {
			got := *e.roster(p)
			p.roster = roster{read: -1}
			want := e.roster(p)
			for _, s := range e.shapeList {
				for rank := range int32(len(p.nodes)) {
					in := func(r *roster) bool { return r.on[s] != nil && r.on[s].next(rank) == rank }
					if in(&got) != in(want) {
						t.Fatalf("shape %s on the node of rank %d: %v; made anew: %v", s.key, rank, in(&got), in(want))
					}
				}
			}
		}
	})
}
