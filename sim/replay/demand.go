package replay

import (
	"slices"
	"time"

	"github.com/weir-gpu/weir/sim/trace"
)

// bin is how finely demand is looked at: a job counts in every bin it touches.
const bin = 10 * time.Minute

// Demand is what a tenant would have used over time, had it never waited.
type Demand struct {
	bins    []int64 // GPUs, bin by bin
	Largest int     // GPUs of its largest job
}

// Demands returns the demand of every tenant between two times. Jobs from
// before count while they run.
func Demands(jobs []trace.Job, from, until time.Time) map[string]*Demand {
	n := int(until.Sub(from)/bin) + 1
	of := map[string]*Demand{}
	for i := range jobs {
		j := &jobs[i]
		d := of[j.Tenant]
		if d == nil {
			d = &Demand{bins: make([]int64, n+1)}
			of[j.Tenant] = d
		}
		d.Largest = max(d.Largest, j.GPUs)
		first, last := floorDiv(j.Submit.Sub(from)), floorDiv(j.End().Sub(from))
		if last < 0 || first >= n {
			continue
		}
		d.bins[max(first, 0)] += int64(j.GPUs)
		d.bins[min(last+1, n)] -= int64(j.GPUs)
	}
	for _, d := range of {
		for i := 1; i < n; i++ {
			d.bins[i] += d.bins[i-1]
		}
		d.bins = d.bins[:n]
	}
	return of
}

func floorDiv(d time.Duration) int {
	n := int(d / bin)
	if d%bin < 0 {
		n--
	}
	return n
}

// Quantile returns what the demand does not exceed for that part of the time,
// in per mille.
func (d *Demand) Quantile(mille int) int64 {
	sorted := slices.Sorted(slices.Values(d.bins))
	return sorted[min(len(sorted)*mille/1000, len(sorted)-1)]
}

// Mean returns the mean demand.
func (d *Demand) Mean() float64 {
	sum := int64(0)
	for _, x := range d.bins {
		sum += x
	}
	return float64(sum) / float64(len(d.bins))
}

// whole rounds GPUs up to whole nodes.
func whole(gpus int64, perNode int) int64 {
	n := int64(perNode)
	return (gpus + n - 1) / n * n
}

// Size returns how many GPUs a tenant of its own would be given for that
// quantile of its demand: whole nodes, at least one, and enough for its largest
// job. A tenant that is there so rarely that the quantile is nothing gets its
// peak.
func (d *Demand) Size(mille, perNode int) int64 {
	need := d.Quantile(mille)
	if need == 0 {
		need = slices.Max(d.bins)
	}
	return max(whole(need, perNode), whole(int64(d.Largest), perNode), int64(perNode))
}
