package laws_test

import (
	"errors"
	"slices"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// erring is an engine that errs in one way: it hears events wrong, or says
// something else than the engine inside it decided.
type erring struct {
	*sched.Engine
	hear    func(sched.Event) sched.Event // nil events are not heard
	refuse  func(sched.Event) bool
	say     func(*erring, []sched.Decision) []sched.Decision
	explain func(sched.Explanation, bool) (sched.Explanation, bool)
	use     func([]sched.Use) []sched.Use

	told  int                       // events since the last Decide
	last  []sched.Decision          // that were any
	prev  []sched.Decision          // of the Decide before
	runs  map[string]sched.Decision // running pods, by their start
	order []string                  // of runs
}

func (e *erring) Apply(ev sched.Event) error {
	e.told++
	if gone, ok := ev.(sched.PodGone); ok {
		delete(e.runs, gone.ID)
	}
	if e.refuse != nil && e.refuse(ev) {
		return errors.New("no")
	}
	if e.hear != nil {
		if ev = e.hear(ev); ev == nil {
			return nil
		}
	}
	return e.Engine.Apply(ev)
}

func (e *erring) Decide(now sched.Time) []sched.Decision {
	ds := e.Engine.Decide(now)
	if e.say != nil {
		ds = e.say(e, slices.Clone(ds))
	}
	for _, d := range ds {
		if d.Action == sched.Start || d.Action == sched.Resume {
			if e.runs == nil {
				e.runs = map[string]sched.Decision{}
			}
			e.runs[d.Pod] = d
			e.order = append(e.order, d.Pod)
		}
	}
	e.told, e.prev = 0, ds
	if len(ds) > 0 {
		e.last = ds
	}
	return ds
}

func (e *erring) Explain(id string) (sched.Explanation, bool) {
	ex, ok := e.Engine.Explain(id)
	if e.explain != nil {
		return e.explain(ex, ok)
	}
	return ex, ok
}

func (e *erring) Usage() []sched.Use {
	if e.use != nil {
		return e.use(e.Engine.Usage())
	}
	return e.Engine.Usage()
}

// everywhere plants the same error into every engine of a world.
func everywhere(e erring) laws.Maker {
	return func(int) laws.Engine { return plant(e) }
}

// from plants an error into the nth engine that a world makes and later ones.
func from(nth int, e erring) laws.Maker {
	return func(n int) laws.Engine {
		if n < nth {
			return engine(n)
		}
		return plant(e)
	}
}

func plant(e erring) laws.Engine {
	e.Engine = sched.New(sched.Config{Fitness: onlyOn{}, Levels: laws.Levels})
	return &e
}

// hearWork changes what is heard of workloads.
func hearWork(change func(*sched.Workload)) func(sched.Event) sched.Event {
	return func(ev sched.Event) sched.Event {
		if w, ok := ev.(sched.WorkloadSet); ok {
			change(&w.Workload)
			return w
		}
		return ev
	}
}

// hearOwner changes what is heard of owners.
func hearOwner(change func(name string, p *sched.OwnerPool)) func(sched.Event) sched.Event {
	return func(ev sched.Event) sched.Event {
		o, ok := ev.(sched.OwnerSet)
		if !ok {
			return ev
		}
		pools := map[string]sched.OwnerPool{}
		for name, p := range o.Owner.Pools {
			change(o.Owner.Name, &p)
			pools[name] = p
		}
		o.Owner.Pools = pools
		return o
	}
}

func starts(ds []sched.Decision) (at []int) {
	for i, d := range ds {
		if d.Action == sched.Start {
			at = append(at, i)
		}
	}
	return at
}

func isForeign(ev sched.Event) bool { _, ok := ev.(sched.Occupied); return ok }

func deafToForeign(ev sched.Event) sched.Event {
	if isForeign(ev) {
		return nil
	}
	return ev
}

func deafToSurplusRuntime(ev sched.Event) sched.Event {
	if p, ok := ev.(sched.PoolSet); ok {
		p.Pool.SurplusRuntime = 0
		return p
	}
	return ev
}

func panicOnLoss(ev sched.Event) sched.Event {
	if _, ok := ev.(sched.NodeGone); ok {
		panic("no node")
	}
	return ev
}

// leafOnly hears no quotas of departments.
func leafOnly(name string, p *sched.OwnerPool) {
	if name == "research" || name == "products" || name == "company" {
		p.Quota = sched.NoLimit
	}
}

// onlyVision hears that one owner has everything guaranteed and others nothing.
func onlyVision(name string, p *sched.OwnerPool) {
	p.Quota = sched.Amount{CPU: sched.Unbounded, Memory: sched.Unbounded}
	if name == "vision" {
		p.Quota = sched.NoLimit
	}
}

func silent(ex sched.Explanation, _ bool) (sched.Explanation, bool) { return ex, false }

func always(r sched.Reason) func(sched.Explanation, bool) (sched.Explanation, bool) {
	return func(ex sched.Explanation, ok bool) (sched.Explanation, bool) {
		ex.Reason, ex.Findings, ex.Offers = r, nil, nil
		return ex, ok
	}
}

func offerAsIs(ex sched.Explanation, ok bool) (sched.Explanation, bool) {
	ex.Offers = []sched.Offer{{Message: "would start as it is"}}
	return ex, ok
}

func countMore(us []sched.Use) []sched.Use {
	for i := range us {
		us[i].Granted.GPU += sched.GPU
	}
	return us
}

func shaveShares(_ *erring, ds []sched.Decision) []sched.Decision {
	return eachShare(ds, func(s *sched.Share) { s.MemoryMiB -= 2 })
}

func loseLimits(_ *erring, ds []sched.Decision) []sched.Decision {
	return eachShare(ds, func(s *sched.Share) {
		s.LimitMemoryMiB, s.LimitComputeMilli = s.MemoryMiB, s.ComputeMilli
	})
}

func chargeHalf(_ *erring, ds []sched.Decision) []sched.Decision {
	for i := range ds {
		ds[i].Charged.GPU /= 2
	}
	return ds
}

func repeat(e *erring, ds []sched.Decision) []sched.Decision {
	if len(ds) == 0 && e.told == 0 {
		return e.prev
	}
	return ds
}

func grantTwice(_ *erring, ds []sched.Decision) []sched.Decision {
	at := starts(ds)
	for i := 1; i < len(at); i++ {
		a, b := &ds[at[i-1]], &ds[at[i]]
		if len(a.Grant.Devices) > 0 && len(a.Grant.Devices) == len(b.Grant.Devices) {
			b.Grant = a.Grant
		}
	}
	return ds
}

func growShares(_ *erring, ds []sched.Decision) []sched.Decision {
	return eachShare(ds, func(s *sched.Share) { s.MemoryMiB += s.MemoryMiB / 3; s.ComputeMilli += s.ComputeMilli / 3 })
}

func eachShare(ds []sched.Decision, change func(*sched.Share)) []sched.Decision {
	for i := range ds {
		ds[i].Grant.Devices = slices.Clone(ds[i].Grant.Devices)
		for j := range ds[i].Grant.Devices {
			change(&ds[i].Grant.Devices[j])
		}
	}
	return ds
}

func healthy(ev sched.Event) sched.Event {
	n, ok := ev.(sched.NodeSet)
	if !ok {
		return ev
	}
	n.Node.Unschedulable = false
	n.Node.Devices = slices.Clone(n.Node.Devices)
	for i := range n.Node.Devices {
		n.Node.Devices[i].Unhealthy = false
	}
	return n
}

func dropMember(_ *erring, ds []sched.Decision) []sched.Decision {
	for i := 1; i < len(ds); i++ {
		if ds[i].Action == sched.Start && ds[i-1].Action == sched.Start && ds[i].Workload == ds[i-1].Workload {
			return slices.Delete(ds, i, i+1)
		}
	}
	return ds
}

func eachTaken(change func(*sched.Decision)) func(*erring, []sched.Decision) []sched.Decision {
	return func(_ *erring, ds []sched.Decision) []sched.Decision {
		for i := range ds {
			if ds[i].Action == sched.Evict {
				change(&ds[i])
			}
		}
		return ds
	}
}

// takeOneMore evicts, with the first victim, another running pod of its owner's.
func takeOneMore(e *erring, ds []sched.Decision) []sched.Decision {
	for _, d := range ds {
		if d.Action != sched.Evict {
			continue
		}
		for _, pod := range e.order {
			other, running := e.runs[pod]
			taken := slices.ContainsFunc(ds, func(x sched.Decision) bool { return x.Pod == pod })
			if running && !taken && other.Workload != d.Workload && other.Workload != d.For && other.Borrowed {
				d.Workload, d.Pod = other.Workload, pod
				return append(ds, d)
			}
		}
	}
	return ds
}

func reversed(_ *erring, ds []sched.Decision) []sched.Decision {
	slices.Reverse(ds)
	return ds
}

// takeBack stops whoever started in place of a victim, for the victim.
func takeBack(e *erring, ds []sched.Decision) []sched.Decision {
	for _, d := range e.last {
		if d.Action != sched.Evict {
			continue
		}
		for _, s := range ds {
			if s.Action == sched.Start && s.Workload == d.For {
				back := d
				back.Workload, back.Pod, back.For = s.Workload, s.Pod, d.Workload
				return append(ds, back)
			}
		}
	}
	return ds
}

// suspendLess leaves the last pod of every gang that is suspended running.
func suspendLess(_ *erring, ds []sched.Decision) []sched.Decision {
	for i := len(ds) - 1; i > 0; i-- {
		if ds[i].Action == sched.Suspend && ds[i-1].Action == sched.Suspend && ds[i-1].Workload == ds[i].Workload {
			return slices.Delete(ds, i, i+1)
		}
	}
	return ds
}

// each changes every decision.
func each(change func(*sched.Decision)) func(*erring, []sched.Decision) []sched.Decision {
	return func(_ *erring, ds []sched.Decision) []sched.Decision {
		for i := range ds {
			change(&ds[i])
		}
		return ds
	}
}
