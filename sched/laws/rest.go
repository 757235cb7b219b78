package laws

import (
	"fmt"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// wants returns the sets of asks of which one has to be placed for w to get
// on: as many pods as its minimum lacks, else any one pod. It returns nil when
// w cannot get on at all (suspended, no owner, pods missing).
func (l *Ledger) wants(w sched.Workload) [][]sched.Ask {
	if w.Suspended || len(l.Chain(w.Owner)) == 0 {
		return nil
	}
	var asks []sched.Ask
	for _, p := range l.Of(w.ID, Pod.Waiting) {
		asks = append(asks, p.Ask)
	}
	need := w.Min - len(l.Of(w.ID, Pod.Running))
	var sets [][]sched.Ask
	for _, set := range choices(asks, max(need, 1)) {
		if !slices.ContainsFunc(sets, func(s []sched.Ask) bool { return fmt.Sprint(s) == fmt.Sprint(set) }) {
			sets = append(sets, set)
		}
	}
	return sets
}

func equalAsks(a, b sched.Ask) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// poolsFor returns the pools in which w may get on: that in which it runs, if
// any, or in which a gang is promised places: it stays together.
func (l *Ledger) poolsFor(w sched.Workload) []string {
	if run := l.Of(w.ID, Pod.Running); len(run) > 0 {
		return []string{l.PoolOf(run[0])}
	}
	for _, h := range l.Held {
		if h.Workload == w.ID && w.Min > 1 {
			return []string{l.Nodes[h.Grant.Node].Pool}
		}
	}
	return l.PoolsOf(w)
}

func (l *Ledger) hasPromise(workload string) bool {
	for _, h := range l.Held {
		if h.Workload == workload {
			return true
		}
	}
	return false
}

func workConserving(r Rest) error {
	l := r.Ledger
	for _, id := range l.WaitingWorks() {
		w := l.Works[id]
		if l.hasPromise(id) {
			continue
		}
		for _, asks := range l.wants(w) {
			for _, pool := range l.poolsFor(w) {
				if l.couldBeCharged(w, pool, asks, everyPod) &&
					fits(l.rooms(pool, everyGrant, everyPromise), asks, l.allowedOn) {
					return fmt.Errorf("%s waits, but %d of its pods (%+v) fit in pool %q", id, len(asks), asks[0], pool)
				}
			}
		}
	}
	return nil
}

// unit is what is taken together: a workload's running pods down to nothing,
// or one pod above its minimum.
type unit struct {
	work sched.Workload
	pods []Pod
	pool string
}

// quotaComesBack looks for a lawful reclaim that the engine did not do: some
// set of takeable units, each from an owner that is above quota when it is
// taken, after which a waiting workload fits within its owner's quota. It asks
// for GPUs only: who waits for something that is not borrowed has no claim.
func quotaComesBack(r Rest) error {
	l := r.Ledger
	for _, id := range l.WaitingWorks() {
		w := l.Works[id]
		if l.hasPromise(id) {
			continue
		}
		for _, asks := range l.wants(w) {
			if asks[0].Devices == 0 {
				continue
			}
			for _, pool := range l.poolsFor(w) {
				if victims, ok := l.reclaimable(w, pool, asks); ok {
					return fmt.Errorf("%s waits for %d × %+v in pool %q within its owner's quota, though %v could be reclaimed",
						id, len(asks), asks[0], pool, victims)
				}
			}
		}
	}
	return nil
}

const mostUnits = 5 // every set of victims is tried: 2^5

func (l *Ledger) reclaimable(w sched.Workload, pool string, asks []sched.Ask) (victims []string, ok bool) {
	units := l.takeable(w, pool, asks)
	if len(units) == 0 || len(units) > mostUnits {
		return nil, false
	}
	for set := 1; set < 1<<len(units); set++ {
		left := l.Clone()
		victims = victims[:0]
		lawful := true
		for i, u := range units {
			if set&(1<<i) == 0 {
				continue
			}
			lawful = lawful && left.spares(u, w)
			for _, p := range u.pods {
				delete(left.Pods, p.ID)
				victims = append(victims, p.ID)
			}
		}
		if lawful && left.couldBeCharged(w, pool, asks, everyPod) &&
			fits(left.rooms(pool, everyGrant, everyPromise), asks, l.allowedOn) {
			return victims, true
		}
	}
	return nil, false
}

// takeable returns the units in a pool that reclaim for w could ever take.
func (l *Ledger) takeable(w sched.Workload, pool string, asks []sched.Ask) []unit {
	var out []unit
	for _, id := range sortedKeys(l.Works) {
		v := l.Works[id]
		run := l.Of(id, Pod.Running)
		if !v.Preemptible || v.Owner == w.Owner || len(run) == 0 || l.PoolOf(run[0]) != pool || len(run) != v.Min {
			continue
		}
		if int64(l.Now-l.lastStarted(id)) < v.MinRuntime || len(l.Chain(v.Owner)) == 0 {
			continue
		}
		if l.withinQuota(last(l.below(w.Owner, v.Owner)), pool, asks) {
			out = append(out, unit{v, run, pool})
		}
	}
	return out
}

// spares reports whether u's owner is above quota at every level at which it
// competes with w's, and stays at or above it without u. (An owner may be cut
// below its quota when nothing smaller would do; whether that is worth it is
// the engine's to judge, so the law does not ask for it.)
func (l *Ledger) spares(u unit, w sched.Workload) bool {
	var loss sched.Amount
	for _, p := range u.pods {
		loss = add(loss, p.Charge)
	}
	for _, name := range l.below(u.work.Owner, w.Owner) {
		quota := l.entry(name, u.pool).Quota.GPU
		if quota == sched.Unbounded || l.keeps(name, u.pool).GPU-loss.GPU < quota {
			return false
		}
	}
	return loss.GPU > 0
}
