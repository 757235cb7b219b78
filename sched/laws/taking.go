package laws

import (
	"fmt"

	"github.com/weir-gpu/weir/sched"
)

// takes reports whether d stops a pod.
func takes(d sched.Decision) bool {
	return d.Action == sched.Evict || d.Action == sched.Move || d.Action == sched.Suspend
}

// starts reports whether d gives a pod a place.
func starts(d sched.Decision) bool { return d.Action == sched.Start || d.Action == sched.Resume }

func takesOnlyTheTakeable(r Round) error {
	return r.each(func(l *Ledger, d sched.Decision) error {
		if !takes(d) {
			return nil
		}
		p, ok := l.Pods[d.Pod]
		if !ok || !p.Running() {
			return fmt.Errorf("pod %s is stopped but does not run", d.Pod)
		}
		w := l.Works[p.Workload]
		if d.Action != sched.Move && !w.Preemptible {
			return fmt.Errorf("pod %s is stopped for %s but is not preemptible", d.Pod, d.For)
		}
		if ran := int64(l.Now - l.Started(w.ID)); ran < w.MinRuntime {
			return fmt.Errorf("pod %s is stopped after %d ms, its minimum run time is %d ms", d.Pod, ran, w.MinRuntime)
		}
		if d.For == w.ID {
			return fmt.Errorf("pod %s is stopped for its own workload", d.Pod)
		}
		return nil
	})
}

func preemptsWithinOwner(r Round) error {
	return r.each(func(l *Ledger, d sched.Decision) error {
		if d.Rule != sched.Preempt || !takes(d) {
			return nil
		}
		victim, winner := l.Works[d.Workload], l.Works[d.For]
		if victim.Owner != winner.Owner {
			return fmt.Errorf("pod %s of owner %s is preempted for %s of owner %s", d.Pod, victim.Owner, d.For, winner.Owner)
		}
		if victim.Priority == winner.Priority && l.Owners[victim.Owner].Discipline == sched.Service {
			return r.yields(l, d, victim, winner)
		}
		if victim.Priority >= winner.Priority {
			return fmt.Errorf("pod %s has priority %d and is preempted for %s of priority %d",
				d.Pod, victim.Priority, d.For, winner.Priority)
		}
		return nil
	})
}

func movesWithinBudget(r Round) error {
	moved := map[string]bool{}
	return r.each(func(l *Ledger, d sched.Decision) error {
		if d.Action != sched.Move {
			if takes(d) && d.Rule == sched.Consolidate {
				return fmt.Errorf("pod %s is evicted to consolidate, with no place to go to", d.Pod)
			}
			return nil
		}
		w := l.Works[d.Workload]
		if w.Moves < 1 {
			return fmt.Errorf("pod %s is moved, but its workload has no moves left", d.Pod)
		}
		moved[d.Workload] = true
		p := l.Pods[d.Pod]
		if _, ok := l.Nodes[d.Grant.Node]; !ok || len(d.Grant.Devices) != p.Ask.Devices {
			return fmt.Errorf("pod %s is moved to %+v, which is no place for it", d.Pod, d.Grant)
		}
		return nil
	})
}
