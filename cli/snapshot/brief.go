package snapshot

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// brief is why workloads wait, in short. Workloads that are alike in all that
// decides wait for the same reason, so the engine is asked once for each kind
// of them: thousands that wait cost little more than one.
type brief struct {
	outlook func(id string) string // what the engine makes of it; nil: each is asked for
	known   map[string]sched.Explanation
	places  map[string]int // in the queues of the projects
}

// Fill completes a workload that waits with the reason for it.
func (v *View) Fill(w *Workload) {
	if w.Status != Waiting || v.Explain == nil {
		return
	}
	if v.brief.places == nil {
		v.brief.places, v.brief.known = v.queues(), map[string]sched.Explanation{}
	}
	key := v.brief.key(w)
	ex, ok := v.brief.known[key]
	if !ok {
		if ex, ok = v.Explain(w.ID); !ok {
			return
		}
		v.brief.known[key] = ex
	}
	w.Reason, w.Message, w.Position = ex.Reason, ex.Message, v.brief.places[w.ID]
}

// key is the same for workloads that are alike in all that decides.
func (b *brief) key(w *Workload) string {
	if b.outlook == nil {
		return w.ID
	}
	asks := map[string]int{}
	for _, p := range w.Pods {
		if !p.Placed() {
			asks[fmt.Sprintf("%+v", p.Ask)]++
		}
	}
	// Maps are printed in the order of their keys.
	return fmt.Sprint(b.outlook(w.ID), "|", w.Project, "|", w.NodePools, "|", w.Priority, w.Preemptible, w.Min,
		len(w.Pods), "|", asks)
}

// queues numbers those that wait, project by project, in the order in which
// they are looked at.
func (v *View) queues() map[string]int {
	var waiting []Workload
	for _, w := range v.Workloads {
		if w.Status == Waiting {
			waiting = append(waiting, w)
		}
	}
	slices.SortFunc(waiting, func(a, b Workload) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Submitted.Compare(b.Submitted), cmp.Compare(a.ID, b.ID))
	})
	next, places := map[string]int{}, map[string]int{}
	for _, w := range waiting {
		next[w.Project]++
		places[w.ID] = next[w.Project]
	}
	return places
}
