package laws

import (
	"fmt"

	"github.com/weir-gpu/weir/sched"
)

// roundingSlack is the rounding, in micro-GPUs, that sums of shares may add up
// to in a ledger that rounds each share on its own.
const roundingSlack = 100_000

func guaranteedInQuota(r Round) error {
	return r.each(func(l *Ledger, d sched.Decision) error {
		w := l.Works[d.Workload]
		if !starts(d) || w.Preemptible {
			return nil
		}
		return l.staysWithin(d, w, func(p sched.OwnerPool) sched.Amount { return p.Quota }, guaranteed, "quota")
	})
}

func withinLimits(r Round) error {
	return r.each(func(l *Ledger, d sched.Decision) error {
		if !starts(d) {
			return nil
		}
		w := l.Works[d.Workload]
		return l.staysWithin(d, w, func(p sched.OwnerPool) sched.Amount { return p.Limit }, staying, "limit")
	})
}

// entry returns what an owner is guaranteed and allowed in a pool. One that
// says nothing of a pool has no GPUs guaranteed there and no limit.
func (l *Ledger) entry(owner, pool string) sched.OwnerPool {
	op, ok := l.Owners[owner].Pools[pool]
	if !ok {
		op.Quota = sched.Amount{CPU: sched.Unbounded, Memory: sched.Unbounded}
		op.Limit = sched.NoLimit
		op.Weight = 1
	}
	return op
}

// staysWithin checks a start against a bound at every level above it.
func (l *Ledger) staysWithin(
	d sched.Decision, w sched.Workload,
	bound func(sched.OwnerPool) sched.Amount, count func(Pod, sched.Workload) bool, what string,
) error {
	n := l.Nodes[d.Grant.Node]
	charge := Charge(l.Pods[d.Pod].Ask, d.Grant, n)
	for _, name := range l.Chain(w.Owner) {
		op := l.entry(name, n.Pool)
		asked := asksFor(charge)
		used := add(l.Used(name, n.Pool, count), charge)
		if res := exceeds(mask(used, asked), bound(op), slackFor(l, n)); res != "" {
			return fmt.Errorf("pod %s takes %s to %+v in pool %s, above its %s %+v (%s)",
				d.Pod, name, used, n.Pool, what, bound(op), res)
		}
	}
	return nil
}

// asksFor tells which resources an amount has any of: who takes none of a
// resource cannot break a bound on it.
func asksFor(a sched.Amount) [3]bool { return [3]bool{a.GPU > 0, a.CPU > 0, a.Memory > 0} }

func mask(a sched.Amount, by [3]bool) sched.Amount {
	if !by[0] {
		a.GPU = 0
	}
	if !by[1] {
		a.CPU = 0
	}
	if !by[2] {
		a.Memory = 0
	}
	return a
}

// slackFor allows for rounding only where devices can be shared.
func slackFor(l *Ledger, n sched.Node) int64 {
	if n.Counted {
		return 0
	}
	for _, p := range l.Pods {
		if p.Ask.Part.MemoryMiB > 0 || p.Ask.Part.ComputeMilli > 0 {
			return roundingSlack
		}
	}
	return 0
}

// couldBeCharged reports whether an owner could take the asks in a pool
// without going above a limit or, unless preemptible, above a quota. It is on
// the safe side: shares count by the most that they can be charged.
func (l *Ledger) couldBeCharged(
	w sched.Workload, pool string, asks []sched.Ask, keep func(Pod, sched.Workload) bool,
) bool {
	var more sched.Amount
	for _, a := range asks {
		more = add(more, mostCharge(a, l.Nodes))
	}
	asked := asksFor(more)
	for _, name := range l.Chain(w.Owner) {
		op := l.entry(name, pool)
		held := l.promised(name, pool)
		all := add(add(l.Used(name, pool, keep), more), held)
		if exceeds(mask(all, asked), op.Limit, 0) != "" {
			return false
		}
		if w.Preemptible {
			continue
		}
		mine := add(add(l.Used(name, pool, guaranteed), more), held)
		if exceeds(mask(mine, asked), op.Quota, 0) != "" {
			return false
		}
	}
	return len(l.Chain(w.Owner)) > 0
}

// withinQuota reports whether an owner would still be within its quota with
// the asks on top of what it holds.
func (l *Ledger) withinQuota(name, pool string, asks []sched.Ask) bool {
	if name == "" {
		return false
	}
	var more sched.Amount
	for _, a := range asks {
		more = add(more, mostCharge(a, l.Nodes))
	}
	used := add(add(l.Used(name, pool, staying), more), l.promised(name, pool))
	return exceeds(mask(used, asksFor(more)), l.entry(name, pool).Quota, 0) == ""
}

// keeps is what an owner will hold once all who leave have left and all that
// was promised is kept.
func (l *Ledger) keeps(name, pool string) sched.Amount {
	return add(l.Used(name, pool, staying), l.promised(name, pool))
}

// countsUse compares the engine's own account of use with the ledger's.
func countsUse(r Rest) error {
	for _, u := range r.Engine.Usage() {
		if _, ok := r.Ledger.Owners[u.Owner]; !ok {
			continue
		}
		op := r.Ledger.entry(u.Owner, u.Pool)
		held := r.Ledger.promised(u.Owner, u.Pool)
		want := r.Ledger.Used(u.Owner, u.Pool, everyPod)
		diff := u.Granted.GPU - want.GPU
		if diff < -roundingSlack || diff > roundingSlack+held.GPU ||
			u.Granted.CPU < want.CPU || u.Granted.CPU > want.CPU+held.CPU {
			return fmt.Errorf("owner %s in pool %s: engine says granted %+v, the ledger says %+v",
				u.Owner, u.Pool, u.Granted, want)
		}
		if op.Quota.GPU == sched.Unbounded {
			continue
		}
		borrowed := max(0, u.Granted.GPU-op.Quota.GPU)
		if u.Borrowed.GPU != borrowed {
			return fmt.Errorf("owner %s in pool %s: engine says borrowed %d µGPU of granted %d and quota %d",
				u.Owner, u.Pool, u.Borrowed.GPU, u.Granted.GPU, op.Quota.GPU)
		}
	}
	return nil
}
