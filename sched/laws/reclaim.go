package laws

import (
	"fmt"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

func reclaimsFromBorrowers(r Round) error {
	judged := map[string]bool{}
	left := map[string]int{} // pods that are still to be taken, by winner
	for _, d := range r.Decisions {
		if takes(d) {
			left[d.For]++
		}
	}
	return r.each(func(l *Ledger, d sched.Decision) error {
		if !takes(d) {
			return nil
		}
		left[d.For]--
		if d.Rule != sched.Reclaim {
			return nil
		}
		victim, winner := l.Works[d.Workload], l.Works[d.For]
		switch {
		case victim.Owner == winner.Owner:
			return fmt.Errorf("pod %s is reclaimed for %s of the same owner %s", d.Pod, d.For, winner.Owner)
		case d.ForOwner != winner.Owner:
			return fmt.Errorf("pod %s is reclaimed for owner %q, but %s belongs to %q",
				d.Pod, d.ForOwner, d.For, winner.Owner)
		}
		pool := l.PoolOf(l.Pods[d.Pod])
		if key := d.Workload + " for " + d.For; !judged[key] { // a gang goes whole: its first pod is judged
			judged[key] = true
			if err := r.lends(l, victim, winner, pool); err != nil {
				return fmt.Errorf("pod %s is reclaimed for %s, but %w", d.Pod, d.For, err)
			}
		}
		if left[d.For] > 0 {
			return nil
		}
		after := l.Clone() // all that is taken for the winner is taken
		after.Do(d)
		return r.entitled(after, d, winner, victim, pool)
	})
}

// lends checks that at every level at which the two compete, the victim's
// owner is above its quota in something that the victim holds.
func (r Round) lends(l *Ledger, victim, winner sched.Workload, pool string) error {
	var holds sched.Amount
	for _, p := range l.Of(victim.ID, Pod.Running) {
		holds = add(holds, p.Charge)
	}
	for _, name := range l.below(victim.Owner, winner.Owner) {
		keeps := add(l.Used(name, pool, staying), r.promisedToOthers(l, winner.ID, name, pool))
		if exceeds(mask(keeps, asksFor(holds)), l.entry(name, pool).Quota, 0) == "" {
			return fmt.Errorf("%s has %+v of its quota %+v and borrows nothing of what the victim holds",
				name, keeps, l.entry(name, pool).Quota)
		}
	}
	return nil
}

// entitled checks the winner's right against the last victim: with what it
// gets, its owner (at the level at which the two compete) is within quota, or
// of a higher band, or borrows no more for its weight than the victim's owner
// is left with; or, where surplus is divided by service, has less of that.
func (r Round) entitled(l *Ledger, d sched.Decision, winner, victim sched.Workload, pool string) error {
	x, y := last(l.below(winner.Owner, victim.Owner)), last(l.below(victim.Owner, winner.Owner))
	if x == "" || y == "" {
		return nil // an owner was deleted; its work counts as borrowed
	}
	got := add(l.Used(x, pool, staying), r.promisedBy(l, winner.ID, x, pool))
	if gains := r.After.gains(r, winner.ID); len(gains) > 0 {
		// What it got beside, in room that was left over, took nothing from anybody.
		for range len(gains) - r.Before.nextStep(winner.ID) {
			got.GPU -= gains[0].charge.GPU
		}
	}
	mine, theirs := l.entry(x, pool), l.entry(y, pool)
	asked := mask(got, asksFor(r.After.demand(r, winner.ID)))
	if exceeds(asked, mine.Quota, slackOf(l)) == "" || mine.Priority > theirs.Priority {
		return nil
	}
	if l.Pools[pool].Surplus == sched.ByService {
		if mine.Priority == theirs.Priority {
			return r.yields(l, d, victim, winner)
		}
		return fmt.Errorf("%s reclaims from %s of a higher band", winner.ID, victim.ID)
	}
	keeps := add(l.Used(y, pool, staying), r.promisedToOthers(l, winner.ID, y, pool))
	have, keep := l.borrowedShare(got, mine, pool), l.borrowedShare(keeps, theirs, pool)
	const rounding = 0.02
	if mine.Priority == theirs.Priority && have*float64(theirs.Weight) <= (keep+rounding)*float64(mine.Weight) {
		return nil
	}
	return fmt.Errorf("%s reclaims from %s, but %s has %+v with it, above its quota %+v; "+
		"it borrows %.3f of the pool at weight %d, and leaves %s with %.3f at weight %d",
		winner.ID, victim.ID, x, got, mine.Quota, have, mine.Weight, y, keep, theirs.Weight)
}

// promisedBy sums what x was promised up to the winner's turn in the round:
// what it was promised before and did not start yet, and what it was promised
// with others' places.
func (r Round) promisedBy(l *Ledger, winner, x, pool string) sched.Amount {
	so := l.Clone()
	so.Held = map[string]sched.Promise{}
	for id, h := range r.Before.Held {
		_, still := r.After.Held[id]
		if started := r.After.Pods[id].Grant.Node != ""; still || started && l.Pods[id].Grant.Node == "" {
			so.Held[id] = h
		}
	}
	turn := slices.Index(winners(r.Decisions), winner)
	for id, h := range r.After.Held {
		if i := slices.Index(winners(r.Decisions), h.Workload); i >= 0 && i <= turn {
			so.Held[id] = h
		}
	}
	return so.promised(x, pool)
}

// promisedToOthers sums what an owner was promised before or in the round,
// whoever's turn came first: a round does not tell when room that needed nobody
// to be stopped was promised.
func (r Round) promisedToOthers(l *Ledger, winner, owner, pool string) sched.Amount {
	so := r.After.Clone()
	for id, h := range r.Before.Held {
		so.Held[id] = h
	}
	for id, h := range so.Held {
		if h.Workload == winner || l.Pods[id].Running() {
			delete(so.Held, id)
		}
	}
	return so.promised(owner, pool)
}

// demand sums what a workload gained in the round.
func (l *Ledger) demand(r Round, winner string) (sum sched.Amount) {
	for _, g := range l.gains(r, winner) {
		sum = add(sum, g.charge)
	}
	return sum
}

func last(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

// borrowedShare is the dominant share of the pool that is used above quota.
func (l *Ledger) borrowedShare(used sched.Amount, op sched.OwnerPool, pool string) float64 {
	var total sched.Amount
	for _, n := range l.Nodes {
		if n.Pool == pool && !n.Unschedulable {
			total.CPU += n.Capacity.CPU
			total.Memory += n.Capacity.Memory
			for _, d := range n.Devices {
				if !d.Unhealthy {
					total.GPU += sched.GPU
				}
			}
		}
	}
	most := 0.0
	for _, r := range [][3]int64{
		{used.GPU, op.Quota.GPU, total.GPU},
		{used.CPU, op.Quota.CPU, total.CPU},
		{used.Memory, op.Quota.Memory, total.Memory},
	} {
		if r[1] != sched.Unbounded {
			most = max(most, float64(r[0]-r[1])/float64(max(1, r[2])))
		}
	}
	return most
}

func slackOf(l *Ledger) int64 { return slackFor(l, sched.Node{}) }
