package laws

import "fmt"

func gangsWhole(r Round) error {
	for _, d := range r.Decisions {
		w, ok := r.After.Works[d.Workload]
		if !ok {
			continue
		}
		before, after := r.Before.alive(w.ID), r.After.alive(w.ID)
		if !starts(d) && len(r.After.Of(w.ID, Pod.Running)) == 0 {
			continue // the gang goes whole; a seat that was kept for one of it goes with it
		}
		switch {
		case starts(d) && after < w.Min:
			return fmt.Errorf("workload %s has a minimum of %d and starts with %d", w.ID, w.Min, after)
		case !starts(d) && after > 0 && after < w.Min && before >= w.Min && !r.Harmed[w.ID]:
			return fmt.Errorf("workload %s has a minimum of %d and is cut from %d to %d", w.ID, w.Min, before, after)
		}
	}
	return nil
}

// alive counts the pods of a workload that run, and those that are on their
// way to a place that is kept for them while others of it run.
func (l *Ledger) alive(workload string) int {
	n := len(l.Of(workload, Pod.Running))
	if n == 0 && len(l.Of(workload, func(p Pod) bool { return p.Leaving })) == 0 {
		return 0
	}
	for _, h := range l.Held {
		if h.Workload == workload {
			n++
		}
	}
	return n
}
