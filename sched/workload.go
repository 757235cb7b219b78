package sched

import (
	"cmp"
	"maps"
	"slices"
)

// workload is a [Workload] with its pods.
type workload struct {
	Workload
	pods    []*pod // sorted by ID
	waiting []*pod // without a place, sorted by ID
	placed  []*pod // granted or promised, sorted by ID
	later   int    // holdings that count in view later; less than placed while planning
	leaving int    // pods that are being stopped
	booking *booking
	seats   []*seat // places that pods were moved to, for their successors
	moved   int     // how often pods were moved

	wishes []*wish // what wants() said when w was last requeued

	served int64 // GPU time (ms) in runs that ended
	level  int   // by service
	rises  Time  // when it reaches the next level
	riseAt int   // place in Engine.rising; -1 when out
	fills  stock // what it stands for in its account

	listings []*listing // where it is listed as one that may give way
	accts    []*account // who pays for it, by pool.index; found by pool.accountOf

	declared bool // WorkloadSet was seen; pods may come before it
}

// podState is where a pod is in its life.
type podState uint8

const (
	waiting  podState = iota
	promised          // has a place that is not free yet
	granted
	leaving
	lost // its node is gone
)

// pod is a [Pod] with its place.
type pod struct {
	id    string
	w     *workload
	shape *shape
	state podState
	hold  *holding
	since Time
	round uint64 // Engine.decides when it was started, or promised its place
	// grant is what a lost pod held, and wasLeaving whether it was being stopped.
	grant      Grant
	wasLeaving bool
	aside      *aside // its state, while it is suspended and until it runs again
}

// held returns the holdings of w's granted and promised pods, in order of ID.
func (w *workload) held() []*holding {
	out := make([]*holding, len(w.placed))
	for i, p := range w.placed {
		out[i] = p.hold
	}
	return out
}

// place and displace keep the list of w's pods that have a place.
func (w *workload) place(p *pod) {
	if i, ok := slices.BinarySearchFunc(w.placed, p, podCmp); !ok {
		w.placed = slices.Insert(w.placed, i, p)
	}
}

func (w *workload) displace(p *pod) {
	if i, ok := slices.BinarySearchFunc(w.placed, p, podCmp); ok {
		w.placed = slices.Delete(w.placed, i, i+1)
	}
}

// sorted returns a copy of w's pods, by ID.
func (w *workload) sorted() []*pod { return slices.Clone(w.pods) }

func podCmp(a, b *pod) int { return cmp.Compare(a.id, b.id) }

// since is when the last of w's running pods in p started.
func (w *workload) since(in *pool) Time {
	var at Time
	for _, p := range w.placed {
		if p.state == granted && p.hold.node.pool == in {
			at = max(at, p.since)
		}
	}
	return at
}

// addWaiting puts p among the pods that wait for a place.
func (w *workload) addWaiting(p *pod) {
	p.state, p.hold = waiting, nil
	if i, ok := slices.BinarySearchFunc(w.waiting, p, podCmp); !ok {
		w.waiting = slices.Insert(w.waiting, i, p)
	}
}

func (w *workload) dropWaiting(p *pod) {
	if i, ok := slices.BinarySearchFunc(w.waiting, p, podCmp); ok {
		w.waiting = slices.Delete(w.waiting, i, i+1)
	}
}

// size orders shapes by how hard they are to place.
func (s *shape) size() int64 {
	k := int64(s.ask.Devices)
	switch {
	case s.whole:
		return k * GPU * 2
	case s.ask.Part.Fraction > 0:
		return k * s.ask.Part.Fraction
	}
	return k * (s.ask.Part.MemoryMiB + 1)
}

// demand is the least that the groups can be charged in p.
func (e *Engine) demand(groups []group, p *pool) vec {
	var sum vec
	for _, g := range groups {
		sum.add(e.floorCharge(g.shape, p).times(int64(len(g.pods))))
	}
	return sum
}

func (e *Engine) sortedWorkloads() []*workload {
	return slices.SortedFunc(maps.Values(e.workloads), func(a, b *workload) int { return cmp.Compare(a.ID, b.ID) })
}
