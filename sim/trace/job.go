package trace

import (
	"slices"
	"time"
)

// Job is one piece of work as a cluster's log has it.
type Job struct {
	ID       string
	Tenant   string
	Submit   time.Time
	Duration time.Duration // of its run, without interruption
	GPUs     int
}

// End is when the job would end, had it started when it was submitted.
func (j *Job) End() time.Time { return j.Submit.Add(j.Duration) }

// Sort puts jobs in order of submission. Jobs of one instant stay as they are.
func Sort(jobs []Job) {
	slices.SortStableFunc(jobs, func(a, b Job) int { return a.Submit.Compare(b.Submit) })
}
