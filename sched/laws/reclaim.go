package laws

import (
	"cmp"
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
		if exceeds(mask(keeps, asksFor(holds)), l.entry(name, pool).Quota, 0) == "" && !r.lostPromise(name, winner.ID) {
			return fmt.Errorf("%s has %+v of its quota %+v and borrows nothing of what the victim holds",
				name, keeps, l.entry(name, pool).Quota)
		}
	}
	return nil
}

// lostPromise reports whether somebody of an owner won places before the winner
// did, and has none after the round: others took them over, and the round does
// not tell what they were. They counted as the owner's when it was judged.
func (r Round) lostPromise(owner, winner string) bool {
	ids := winners(r.Decisions)
	return slices.ContainsFunc(ids[:slices.Index(ids, winner)], func(id string) bool {
		return slices.Contains(r.After.Chain(r.After.Works[id].Owner), owner) && len(r.After.gains(r, id)) == 0
	})
}

// entitled checks the winner's right against the last victim: with what it
// gets, its owner (at the level at which the two compete) is within quota, or
// of a higher band, or borrows no more for its weight than the victim's owner
// is left with; or, where surplus is divided by service, has less of that.
func (r Round) entitled(l *Ledger, d sched.Decision, winner, victim sched.Workload, pool string) error {
	x, y := siblings(l, winner, victim)
	if x == "" || y == "" || r.comesFirst(l, winner, victim, pool) {
		return nil
	}
	got, mine, theirs := r.gets(l, winner, x, pool), l.entry(x, pool), l.entry(y, pool)
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

// siblings returns the owners between which winner and victim are settled; one
// is "" where an owner was deleted, whose work counts as borrowed.
func siblings(l *Ledger, winner, victim sched.Workload) (x, y string) {
	return last(l.below(winner.Owner, victim.Owner)), last(l.below(victim.Owner, winner.Owner))
}

// gets is what x has once the winner got what was taken for it.
func (r Round) gets(l *Ledger, winner sched.Workload, x, pool string) sched.Amount {
	got := add(l.Used(x, pool, staying), r.promisedBy(l, winner.ID, x, pool))
	return r.besides(got, winner.ID)
}

// comesFirst reports whether the winner does not take surplus from an equal: its
// owner stays within quota with what it gets, or is of a higher band.
func (r Round) comesFirst(l *Ledger, winner, victim sched.Workload, pool string) bool {
	x, y := siblings(l, winner, victim)
	mine, theirs := l.entry(x, pool), l.entry(y, pool)
	asked := mask(r.gets(l, winner, x, pool), asksFor(r.After.demand(r, winner.ID)))
	return exceeds(asked, mine.Quota, slackOf(l)) == "" || mine.Priority > theirs.Priority
}

// besides takes off what the winner got beside, in room that was left over: that
// took nothing from anybody. Which pods these are the round does not tell; at
// best, those that are charged most.
func (r Round) besides(got sched.Amount, winner string) sched.Amount {
	gains := r.After.gains(r, winner)
	n := max(0, len(gains)-r.Before.nextStep(winner))
	most := func(of func(sched.Amount) int64) (sum int64) {
		slices.SortFunc(gains, func(a, b gain) int { return cmp.Compare(of(b.charge), of(a.charge)) })
		for _, g := range gains[:n] {
			sum += of(g.charge)
		}
		return sum
	}
	got.GPU -= most(func(a sched.Amount) int64 { return a.GPU })
	got.CPU -= most(func(a sched.Amount) int64 { return a.CPU })
	got.Memory -= most(func(a sched.Amount) int64 { return a.Memory })
	return got
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
