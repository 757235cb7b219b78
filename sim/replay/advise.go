package replay

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/weir-gpu/weir/sim/trace"
)

// Advice is quotas, and what became of the history under them.
type Advice struct {
	Plan   Plan
	Result *Result
	Runs   int // how many it took
}

// mostRuns bounds the simulations of one search.
const mostRuns = 20

// steps is in how many steps a quota grows to what the tenant would have
// alone.
const steps = 4

// Advise looks for quotas in a shared plan under which nobody waits longer
// than alone. It begins without quotas. As long as somebody waits too long,
// whoever does by the largest factor is guaranteed another part of what it
// would have alone: those who can wait guarantee themselves nothing, and what
// is guaranteed to nobody is there for all. Where work is suspended and not
// evicted, guarantees are for those who could not wait alone either, and whoever
// else waits too long gets more weight. When that does not end well the best
// plan tried is returned, the one under which the fewest are worse.
func Advise(ctx context.Context, jobs []trace.Job, p Plan, alone *Result, o Options) (*Advice, error) {
	best := &Advice{}
	plan := p
	for runs := 1; ; runs++ {
		r, err := Run(ctx, jobs, plan, o)
		if err != nil {
			return nil, err
		}
		r.Compare(alone)
		if best.Result == nil || betterThan(r, best.Result, alone) {
			best.Plan, best.Result = plan, r
		}
		best.Runs = runs
		if r.NoWorse(alone) || runs == mostRuns {
			return best, nil
		}
		plan.Owners = slices.Clone(plan.Owners)
		raise := grow
		if plan.Swap != nil {
			raise = favour
		}
		if !raise(&plan, r) {
			return best, nil
		}
	}
}

// grow guarantees the tenant that is worst off, of those that can have more,
// another step. It reports whether there was one.
func grow(p *Plan, r *Result) bool {
	worse := r.Worse()
	at, most := -1, 0.0
	for i, o := range p.Owners {
		if o.Quota < o.Share && worse[o.Name] > most {
			at, most = i, worse[o.Name]
		}
	}
	if at < 0 {
		return false
	}
	o := &p.Owners[at]
	step := min((o.Share+steps-1)/steps, o.Share-o.Quota, p.unguaranteed())
	o.Quota += step
	return step > 0
}

// unguaranteed is how many GPUs are in nobody's quota.
func (p *Plan) unguaranteed() int64 {
	left := p.GPUs
	for _, o := range p.Owners {
		left -= o.Quota
	}
	return left
}

// mostWeight bounds weights: an owner of that weight is served first anyway.
const mostWeight = 1 << 12

// favour gives every tenant that is worse off more weight, or guarantees it what
// it would have alone if it could not wait there either. It reports whether it
// could.
func favour(p *Plan, r *Result) bool {
	worse, some := r.Worse(), false
	for i := range p.Owners {
		o := &p.Owners[i]
		times := worse[o.Name]
		quota := min(o.Share, o.Quota+p.unguaranteed())
		switch {
		case times == 0:
		case r.tenant(o.Name).Bound <= shortest && quota > o.Quota:
			o.Quota, some = quota, true
		case o.Weight < mostWeight:
			o.Weight, some = o.Weight*2, true
			if times > 2 {
				o.Weight *= 2
			}
		}
	}
	return some
}

// betterThan compares by whether anything is worse than alone, then by how many
// tenants are, then by how much the worst of them.
func betterThan(a, b, alone *Result) bool {
	if x, y := a.NoWorse(alone), b.NoWorse(alone); x != y {
		return x
	}
	x, y := a.Worse(), b.Worse()
	if len(x) != len(y) {
		return len(x) < len(y)
	}
	return largest(x) < largest(y)
}

func largest(of map[string]float64) float64 {
	most := 0.0
	for x := range maps.Values(of) {
		most = math.Max(most, x)
	}
	return most
}

// Cost is what one tenant's quota costs and gives: the same history with and
// without it. Times are in seconds.
type Cost struct {
	Tenant string `json:"tenant"`
	Quota  int64  `json:"quota"`
	// Wait is the tenant's mean wait, Without what it would be without quota.
	Wait    float64 `json:"wait"`
	Without float64 `json:"waitWithout"`
	// Others is how much longer the others' jobs wait on average because of it,
	// and Lost how many GPU hours of work are thrown away for it.
	Others float64 `json:"othersWait"`
	Lost   float64 `json:"lostGPUHours"`
}

// Costs says what each quota of an advice costs.
func (a *Advice) Costs(ctx context.Context, jobs []trace.Job, o Options) ([]Cost, error) {
	costs := []Cost{}
	for _, owner := range a.Plan.Owners {
		if owner.Quota == 0 {
			continue
		}
		quotas := a.Plan.Quotas()
		delete(quotas, owner.Name)
		without, err := Run(ctx, jobs, a.Plan.With(quotas), o)
		if err != nil {
			return nil, err
		}
		costs = append(costs, Cost{
			Tenant: owner.Name, Quota: owner.Quota,
			Wait: a.Result.tenant(owner.Name).Wait.Mean, Without: without.tenant(owner.Name).Wait.Mean,
			Others: a.Result.others(owner.Name) - without.others(owner.Name),
			Lost:   a.Result.LostHours - without.LostHours,
		})
	}
	return costs, nil
}

// others is the mean wait of all jobs but one tenant's.
func (r *Result) others(name string) float64 {
	own := r.tenant(name)
	jobs := r.Jobs - own.Jobs
	if jobs == 0 {
		return 0
	}
	return (r.Wait.Mean*float64(r.Jobs) - own.Wait.Mean*float64(own.Jobs)) / float64(jobs)
}

// Shrink looks for the smallest pool for which quotas can be found under which
// nothing is worse than alone, by halving. The pool has whole nodes, room for
// the largest job and no more GPUs than p. The result is nil when even p is too
// small.
func Shrink(ctx context.Context, jobs []trace.Job, p Plan, alone *Result, o Options) (*Advice, error) {
	low, high := int64(1), p.GPUs/int64(p.PerNode) // nodes
	for i := range jobs {
		low = max(low, whole(int64(jobs[i].GPUs), p.PerNode)/int64(p.PerNode))
	}
	var found *Advice
	runs := 0
	for low <= high {
		nodes := (low + high) / 2
		p.GPUs = nodes * int64(p.PerNode)
		a, err := Advise(ctx, jobs, p, alone, o)
		if err != nil {
			return nil, err
		}
		runs += a.Runs
		if a.Result.NoWorse(alone) {
			found, high = a, nodes-1
		} else {
			low = nodes + 1
		}
	}
	if found != nil {
		found.Runs = runs
	}
	return found, nil
}
