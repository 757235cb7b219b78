package sched

import (
	"cmp"
	"slices"
)

// wish is a set of pods of one workload that have to start together, in the
// queue of all who wish for the like. A workload has several where any one of
// several sets would do, so that none waits behind a harder one.
type wish struct {
	w      *workload
	groups []group
	rank   int // among the wishes of w, the easiest first
	queue  *queue
	at     int // place in queue.heap
}

// group is a number of pods of one shape.
type group struct {
	shape *shape
	pods  []*pod
}

// mostWishes bounds the sets that a workload of many shapes asks for at a time.
const mostWishes = 16

// wants returns the sets of pods of which one has to start next, each grouped
// by shape: as many pods as the minimum lacks, then one at a time. It is empty
// when nothing waits, when fewer pods exist than have to run, and while the
// minimum has its places only promised.
func (w *workload) wants() [][]group {
	if w.Swappable && w.leaving > 0 {
		return nil // it may be on its way to host memory, and goes there whole
	}
	n := max(w.Min-len(w.placed), 1)
	if n > len(w.waiting) || w.Suspended || w.booking != nil && w.Min > 1 && len(w.placed)-len(w.booking.holdings) < w.Min {
		return nil
	}
	all := grouped(w.waiting)
	if n == len(w.waiting) || len(all) == 1 {
		slices.SortStableFunc(all, harder)
		return [][]group{firstOf(all, n)}
	}
	slices.SortStableFunc(all, easier)
	var out [][]group
	choose(all, n, nil, func(chosen []group) bool {
		slices.SortStableFunc(chosen, harder)
		out = append(out, chosen)
		return len(out) < mostWishes
	})
	return out
}

// grouped sorts pods by shape; the shapes are in order of their first pods.
func grouped(pods []*pod) []group {
	var groups []group
	for _, p := range pods {
		i := slices.IndexFunc(groups, func(g group) bool { return g.shape == p.shape })
		if i < 0 {
			groups = append(groups, group{shape: p.shape})
			i = len(groups) - 1
		}
		groups[i].pods = append(groups[i].pods, p)
	}
	return groups
}

// firstOf returns the groups cut to n pods in all.
func firstOf(groups []group, n int) []group {
	for i := range groups {
		k := min(n, len(groups[i].pods))
		groups[i].pods = groups[i].pods[:k]
		if n -= k; n == 0 {
			return groups[:i+1]
		}
	}
	return groups
}

// choose calls yield with every way to take n pods out of the groups, those
// with the most of the first groups first, until it says false.
func choose(groups []group, n int, chosen []group, yield func([]group) bool) bool {
	if n == 0 {
		return yield(slices.Clone(chosen))
	}
	if len(groups) == 0 {
		return true
	}
	g, rest := groups[0], groups[1:]
	for k := min(n, len(g.pods)); k > 0; k-- {
		if !choose(rest, n-k, append(chosen, group{g.shape, g.pods[:k]}), yield) {
			return false
		}
	}
	return choose(rest, n, chosen, yield)
}

func easier(a, b group) int {
	return cmp.Or(cmp.Compare(a.shape.size(), b.shape.size()), cmp.Compare(a.shape.ask.CPU, b.shape.ask.CPU))
}

// harder is the order in which a gang is placed: those with a choice of models
// and the largest first.
func harder(a, b group) int {
	return cmp.Or(boolCmp(len(a.shape.ask.Models) == 0, len(b.shape.ask.Models) == 0),
		cmp.Compare(b.shape.size(), a.shape.size()))
}
