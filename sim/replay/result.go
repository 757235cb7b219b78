package replay

import (
	"math"
	"slices"
	"time"
)

// Result is what became of all jobs under a plan. Times are in seconds. A
// job's wait is its completion less its submission and its duration, so that
// time lost to being stopped counts.
type Result struct {
	Plan string `json:"plan"`
	GPUs int64  `json:"gpus"`
	// Utilisation is the part of all GPU time between the first and the last
	// submission that was in use, be it for work that was lost.
	Utilisation float64 `json:"utilisation"`
	Figures
	// Jain is Jain's index of what tenants had of what was due to them while any
	// of their jobs waited (Served): 1 when all had the same part of it.
	Jain    float64  `json:"jain"`
	Tenants []Tenant `json:"tenants"`
}

// Tenant is what became of one tenant's jobs.
type Tenant struct {
	Name  string `json:"name"`
	Quota int64  `json:"quota"`
	// Weight divides surplus, or stretches service where it is divided by that.
	Weight int64 `json:"weight"`
	Figures
	// Backlogged is for how many hours any of the tenant's jobs waited, and Due
	// the GPU hours that were due to it then; Served is what it had of them.
	Backlogged float64 `json:"backloggedHours"`
	Due        float64 `json:"dueGPUHours"`
	Served     float64 `json:"served"`

	// Bound and FinishTime compare with a plan in which the tenant is alone:
	// the mean wait that would be no worse, and the mean time from submission
	// to completion as a multiple of the one alone.
	Bound      float64 `json:"bound,omitempty"`
	FinishTime float64 `json:"finishTime,omitempty"`
}

// Figures are counted for each tenant and for all.
type Figures struct {
	Jobs       int     `json:"jobs"`
	Wait       Spread  `json:"wait"`
	Completion Spread  `json:"completion"`
	Evictions  int     `json:"evictions"`
	Swaps      int     `json:"swaps"`
	Failures   int     `json:"failures"`
	GPUHours   float64 `json:"gpuHours"` // of the jobs' own work
	LostHours  float64 `json:"lostGPUHours"`
	Lost       float64 `json:"lostPerCent"`
	// Swapping is GPU time in which state was brought out to host memory or in.
	Swapping float64 `json:"swappingGPUHours"`
	// Violation is for how many seconds a job waited that the tenant's quota
	// had room for, summed over tenants.
	Violation float64 `json:"quotaViolationSeconds"`
}

// Spread is how a time is distributed over jobs.
type Spread struct {
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
}

const hour = 3600 * 1000 // ms

// longBacklog is for how long (ms) a tenant has to have waited in all to count in
// Jain's index. What it has within less is a matter of how long it takes to
// suspend work, and of when the next job ends; and the index weighs all tenants
// alike, however little they lacked.
const longBacklog = int64(10 * time.Minute / time.Millisecond)

func (t *tally) result() *Result {
	r := &Result{Plan: t.plan.Name, GPUs: t.plan.GPUs}
	var sum account
	var served []float64
	for _, o := range t.plan.Owners {
		a := t.of[o.Name]
		tenant := Tenant{Name: o.Name, Quota: o.Quota, Weight: o.Weight, Figures: a.figures(), Served: 1}
		tenant.Backlogged, tenant.Due = float64(a.backlog)/hour, float64(a.due)/grain/hour
		if a.due > 0 {
			tenant.Served = float64(a.had) / (float64(a.due) / grain)
		}
		if a.backlog >= longBacklog {
			served = append(served, tenant.Served)
		}
		r.Tenants = append(r.Tenants, tenant)
		sum.add(a)
	}
	r.Figures, r.Jain = sum.figures(), jain(served)
	if span := float64(t.window[1] - t.window[0]); span > 0 {
		r.Utilisation = float64(sum.busy) / (span * float64(t.plan.GPUs))
	}
	return r
}

func (a *account) add(b *account) {
	a.waits, a.times = append(a.waits, b.waits...), append(a.times, b.times...)
	a.work, a.busy, a.lost = a.work+b.work, a.busy+b.busy, a.lost+b.lost
	a.swaps, a.swapping = a.swaps+b.swaps, a.swapping+b.swapping
	a.evictions, a.failures, a.violation = a.evictions+b.evictions, a.failures+b.failures, a.violation+b.violation
}

func (a *account) figures() Figures {
	return Figures{
		Jobs: len(a.waits), Wait: spread(a.waits), Completion: spread(a.times),
		Evictions: a.evictions, Swaps: a.swaps, Swapping: float64(a.swapping) / hour, Failures: a.failures,
		GPUHours: float64(a.work) / hour, LostHours: float64(a.lost) / hour,
		Lost:      100 * float64(a.lost) / math.Max(float64(a.work), 1),
		Violation: float64(a.violation) / 1000,
	}
}

// spread is of times in ms. Of an even number of jobs the median is the lower
// of the two in the middle; the p99 is the least time within which 99% stay.
func spread(ms []int64) Spread {
	if len(ms) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(ms))
	n, sum := len(sorted), int64(0)
	for _, x := range sorted {
		sum += x
	}
	return Spread{
		Mean:   float64(sum) / float64(n) / 1000,
		Median: float64(sorted[(n-1)/2]) / 1000,
		P99:    float64(sorted[(n*99+99)/100-1]) / 1000,
	}
}

// jain is Jain's index: 1 when all are equal, 1/n when one has all.
func jain(parts []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range parts {
		sum, squares = sum+x, squares+x*x
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(parts)) * squares)
}
