package laws

import (
	"fmt"

	"github.com/weir-gpu/weir/sched"
)

// sparesTheFresh checks that who takes surplus from an equal takes it from work
// that had its pool's surplus run time.
func sparesTheFresh(r Round) error {
	return r.eachWinner(func(after *Ledger, winner sched.Workload, taken []sched.Decision) error {
		for _, d := range taken {
			p, victim := after.Pods[d.Pod], after.Works[d.Workload]
			pool := after.PoolOf(p)
			x, y := siblings(after, winner, victim)
			if d.Rule != sched.Reclaim || x == "" || y == "" || r.comesFirst(after, winner, victim, pool) {
				continue
			}
			if ran, least := int64(after.Now-p.Since), after.Pools[pool].SurplusRuntime; ran < least {
				return fmt.Errorf("pod %s is reclaimed for %s, which borrows too, after %d ms; its surplus run time is %d ms",
					d.Pod, d.For, ran, least)
			}
		}
		return nil
	})
}

// eachWinner calls f with every workload for which something is stopped, all
// that is, and the ledger as it was right after the last of it.
func (r Round) eachWinner(f func(after *Ledger, winner sched.Workload, taken []sched.Decision) error) error {
	taken := map[string][]sched.Decision{}
	return r.each(func(l *Ledger, d sched.Decision) error {
		if !takes(d) {
			return nil
		}
		taken[d.For] = append(taken[d.For], d)
		if len(taken[d.For]) < len(takenFor(r.Decisions, d.For)) {
			return nil
		}
		after := l.Clone()
		after.Do(d)
		return f(after, l.Works[d.For], taken[d.For])
	})
}
