package sched

import (
	"cmp"
	"slices"
)

// mostSpared bounds how many ways are tried to spare the minimum of a gang.
const mostSpared = 64

// spareGangs looks at workloads that a plan stops whole, pod by pod and then
// the rest, though they run above their minimum: where pods are unequal, to
// stop larger ones may make as much room and leave the minimum running. place
// tells where the asker's pods go when units are stopped, if anywhere.
func (a *asker) spareGangs(units []unit, placed []*holding, place func([]unit) []*holding) ([]unit, []*holding) {
	var seen []*workload
	for _, u := range slices.Clone(units) {
		if slices.Contains(seen, u.w) {
			continue
		}
		seen = append(seen, u.w)
		if fewer, p := a.spareGang(u.w, units, place); p != nil {
			units, placed = fewer, p
		}
	}
	return units, placed
}

// spareGang returns the units that stop no more of w than what it has above
// its minimum, and the places that they make room for; nil when there are none.
func (a *asker) spareGang(w *workload, units []unit, place func([]unit) []*holding) (fewer []unit, placed []*holding) {
	taken := 0
	for _, u := range units {
		if u.w == w {
			taken += len(u.held)
		}
	}
	surplus := w.later - w.Min
	if surplus <= 0 || taken != w.later {
		return nil, nil
	}
	held := w.held()
	slices.SortStableFunc(held, func(x, y *holding) int { return cmp.Compare(y.charge[0], x.charge[0]) })
	others := slices.DeleteFunc(slices.Clone(units), func(u unit) bool { return u.w == w })
	left := mostSpared
	var choose func(from []*holding, n int, chosen []unit)
	choose = func(from []*holding, n int, chosen []unit) {
		if placed != nil || left == 0 || len(from) < n {
			return
		}
		if n == 0 {
			left--
			try := append(slices.Clone(others), chosen...)
			if !a.mayTakeAll(try) {
				return
			}
			if p := place(try); p != nil {
				fewer, placed = try, p
			}
			return
		}
		if u, ok := a.unit(from[0]); ok && len(u.held) == 1 {
			choose(from[1:], n-1, append(chosen, u))
		}
		choose(from[1:], n, chosen)
	}
	choose(held, surplus, nil)
	return fewer, placed
}
