package main

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/weir-gpu/weir/sim/replay"
	"github.com/weir-gpu/weir/sim/trace"
)

// cut says which jobs of the Philly trace are played, where, and how fast.
type cut struct {
	From     string        // the first day
	Jobs     int           // so many
	Longest  time.Duration // longer ones are left out: the run would wait for them
	GPUs     int64         // of the pool; larger jobs are left out
	PerNode  int
	Compress float64 // seconds of the trace to one of the run
	Log      string  // file for the scheduler's log; "" writes none
}

// slice returns the jobs, in compressed time; the first is submitted at begin.
func (c cut) slice(begin time.Time) ([]trace.Job, error) {
	from, err := time.Parse(time.DateOnly, c.From)
	if err != nil {
		return nil, fmt.Errorf("-from is %q: write a day such as 2017-10-16", c.From)
	}
	all, err := trace.Philly()
	if err != nil {
		return nil, err
	}
	at := sort.Search(len(all), func(i int) bool { return !all[i].Submit.Before(from) })
	var jobs []trace.Job
	for _, j := range all[at:] {
		if len(jobs) < c.Jobs && j.Duration <= c.Longest && int64(j.GPUs) <= min(c.GPUs, most) {
			jobs = append(jobs, j)
		}
	}
	if len(jobs) < c.Jobs {
		return nil, fmt.Errorf("from %s on there are only %d such jobs: lower -jobs, or begin earlier", c.From, len(jobs))
	}
	first := jobs[0].Submit
	for i := range jobs {
		jobs[i].Submit = begin.Add(c.compressed(jobs[i].Submit.Sub(first)))
		jobs[i].Duration = c.compressed(jobs[i].Duration)
	}
	return jobs, nil
}

// most is how many GPUs a job may ask for: few have more, and each GPU is a pod.
const most = 8

func (c cut) compressed(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.Compress).Truncate(time.Millisecond)
}

// plan shares the pool: four fifths of it are guaranteed, by how much work each
// tenant brings. What is idle of that is lent and taken back.
func (c cut) plan(jobs []trace.Job) replay.Plan {
	work, sum := map[string]float64{}, 0.0
	for _, j := range jobs {
		w := float64(j.GPUs) * j.Duration.Seconds()
		work[j.Tenant] += w
		sum += w
	}
	p := replay.Plan{Name: "quota", GPUs: c.GPUs, PerNode: c.PerNode}
	for _, name := range slices.Sorted(maps.Keys(work)) {
		quota := int64(work[name]/sum*float64(c.GPUs)*4/5 + 0.5)
		p.Owners = append(p.Owners, replay.Owner{Name: name, Quota: quota, Share: max(quota, 1)})
	}
	return p
}
