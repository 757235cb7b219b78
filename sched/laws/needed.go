package laws

import (
	"fmt"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// takesOnlyWhatIsNeeded keeps one victim, or one part of a victim, at a time
// and tries whether what was to be started would still fit beside it.
func takesOnlyWhatIsNeeded(r Round) error {
	for _, winner := range winners(r.Decisions) {
		taken := takenFor(r.Decisions, winner)
		need := r.After.gains(r, winner)
		moves := slices.ContainsFunc(taken, func(d sched.Decision) bool { return d.Action == sched.Move })
		if moves || len(need) != r.Before.nextStep(winner) || r.mayBeTakenOver(winner, taken) {
			continue
		}
		for _, kept := range r.keepable(taken) {
			if !rightRestsOn(kept, taken) && r.startsBeside(winner, need, taken, kept) {
				return fmt.Errorf("%s takes %v, but would start with %v left alone", winner, podsOf(taken), kept)
			}
		}
	}
	return nil
}

// mayBeTakenOver reports whether another owner's workload was given a place where
// the winner's victims were: it may have taken over one that was promised to the
// winner, which the round does not tell.
func (r Round) mayBeTakenOver(winner string, taken []sched.Decision) bool {
	for id, h := range r.After.Held {
		_, old := r.Before.Held[id]
		if old || r.After.Works[h.Workload].Owner == r.After.Works[winner].Owner {
			continue
		}
		if slices.ContainsFunc(taken, func(d sched.Decision) bool { return r.Before.Pods[d.Pod].Grant.Node == h.Grant.Node }) {
			return true
		}
	}
	return false
}

// rightRestsOn reports whether the right to reclaim what is not kept may rest on
// having preempted what is: that keeps the winner's owner within quota.
func rightRestsOn(kept []string, taken []sched.Decision) bool {
	has := func(rule sched.Rule, in bool) bool {
		return slices.ContainsFunc(taken, func(d sched.Decision) bool {
			return d.Rule == rule && slices.Contains(kept, d.Pod) == in
		})
	}
	return has(sched.Preempt, true) && has(sched.Reclaim, false)
}

// nextStep is how many pods of a workload are placed by one plan: what its
// minimum lacks, then one at a time. Victims of several plans are each needed
// when they are chosen, though not all of them in hindsight.
func (l *Ledger) nextStep(workload string) int {
	have := len(l.Of(workload, Pod.Running))
	for _, h := range l.Held {
		if h.Workload == workload {
			have++
		}
	}
	return max(1, l.Works[workload].Min-have)
}

func winners(ds []sched.Decision) []string {
	var out []string
	for _, d := range ds {
		if takes(d) && !slices.Contains(out, d.For) {
			out = append(out, d.For)
		}
	}
	return out
}

func takenFor(ds []sched.Decision, winner string) []sched.Decision {
	var out []sched.Decision
	for _, d := range ds {
		if takes(d) && d.For == winner {
			out = append(out, d)
		}
	}
	return out
}

func podsOf(ds []sched.Decision) []string {
	var out []string
	for _, d := range ds {
		out = append(out, d.Pod)
	}
	return out
}

// gain is a place that a workload got or was promised in a round.
type gain struct {
	ask    sched.Ask
	pool   string
	charge sched.Amount
}

func (l *Ledger) gains(r Round, winner string) []gain {
	var out []gain
	for id, h := range l.Held {
		if _, old := r.Before.Held[id]; !old && h.Workload == winner {
			n := l.Nodes[h.Grant.Node]
			out = append(out, gain{l.askOf(id, h), n.Pool, Charge(l.askOf(id, h), h.Grant, n)})
		}
	}
	for _, d := range r.Decisions {
		if _, old := r.Before.Held[d.Pod]; !old && starts(d) && d.Workload == winner {
			n := l.Nodes[d.Grant.Node]
			out = append(out, gain{l.Pods[d.Pod].Ask, n.Pool, Charge(l.Pods[d.Pod].Ask, d.Grant, n)})
		}
	}
	return out
}

// keepable lists the sets of victims that could have been left alone by
// themselves: a whole workload, or single pods above a workload's minimum, or
// just the minimum of one that was taken whole.
func (r Round) keepable(taken []sched.Decision) [][]string {
	byWork := map[string][]string{}
	var order []string
	for _, d := range taken {
		if byWork[d.Workload] == nil {
			order = append(order, d.Workload)
		}
		byWork[d.Workload] = append(byWork[d.Workload], d.Pod)
	}
	var out [][]string
	for _, id := range order {
		pods, least := byWork[id], r.Before.Works[id].Min
		out = append(out, pods)
		switch left := len(r.Before.Of(id, Pod.Running)) - len(pods); {
		case left >= least:
			for _, p := range pods {
				out = append(out, []string{p})
			}
		case left == 0 && least < len(pods):
			out = append(out, choices(pods, least)...)
		}
	}
	return out
}

// choices lists the ways to choose n of what is there.
func choices[T any](from []T, n int) [][]T {
	if n == 0 {
		return [][]T{nil}
	}
	var out [][]T
	for i := range from {
		for _, rest := range choices(from[i+1:], n-1) {
			out = append(out, append([]T{from[i]}, rest...))
		}
	}
	return out
}

// startsBeside reports whether the winner's new places would exist had kept
// not been taken. Everything else that the round did stays done.
func (r Round) startsBeside(winner string, need []gain, taken []sched.Decision, kept []string) bool {
	gone := podsOf(taken)
	l := r.After.Clone()
	stays := func(p Pod) bool {
		if slices.Contains(kept, p.ID) {
			return true
		}
		_, promised := r.Before.Held[p.ID]
		if p.Workload == winner && !promised && r.Before.Pods[p.ID].Grant.Node == "" {
			return false // one of the places in question
		}
		if slices.Contains(gone, p.ID) {
			return false
		}
		// Who was leaving before leaves; others' victims of this round are
		// theirs to use.
		return !(p.Leaving && r.Before.Pods[p.ID].Leaving)
	}
	var asks []sched.Ask
	for _, g := range need {
		asks = append(asks, g.ask)
	}
	for id, h := range l.Held {
		if _, old := r.Before.Held[id]; h.Workload == winner && !old {
			delete(l.Held, id)
		}
	}
	for id, h := range r.Before.Held { // who is left alone keeps what it was promised
		ofKept := func(pod string) bool { return r.Before.Pods[pod].Workload == h.Workload }
		if r.After.Pods[id].Waiting() && slices.ContainsFunc(kept, ofKept) {
			l.Held[id] = h
		}
	}
	w := l.Works[winner]
	keeping := func(p Pod, _ sched.Workload) bool { return stays(p) }
	return slices.ContainsFunc(r.Before.poolsFor(w), func(pool string) bool {
		left := stays
		if pool != need[0].pool { // there, only what is free already has to be taken first
			left = everyGrant
		}
		return l.couldBeCharged(w, pool, asks, keeping) && fits(l.rooms(pool, left, everyPromise), asks, l.allowedOn)
	})
}
