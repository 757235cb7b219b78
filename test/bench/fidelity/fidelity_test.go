package main

import (
	"strings"
	"testing"
	"time"
)

// A few jobs, so that the command works when it is needed. How long they wait
// says nothing in so short a time, on a machine that tests other things, too.
func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	c := defaults
	c.Jobs, c.GPUs, c.Compress = 20, 8, 4000
	done := 0
	r, err := compare(t.Context(), c, func(n int) { done = n })
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for name, waits := range r.waits {
		all += len(waits)
		for _, w := range waits {
			if w < 0 {
				t.Errorf("a job of %s was done %v s before it could be", name, -w)
			}
		}
	}
	if done != c.Jobs || all != c.Jobs || r.simulated.Jobs != c.Jobs {
		t.Errorf("%d jobs were done, %d measured, %d simulated; want %d", done, all, r.simulated.Jobs, c.Jobs)
	}
	var out strings.Builder
	if err := r.print(&out); err != nil || !strings.Contains(out.String(), "The run took") {
		t.Errorf("printed %v:\n%s", err, &out)
	}
}

// The default slice is one that says something: many tenants, long waits, work
// that is taken back. Compressing it changes nothing but the unit.
func TestDefaultSlice(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	jobs, err := defaults.slice(begin)
	if err != nil {
		t.Fatal(err)
	}
	plan := defaults.plan(jobs)
	guaranteed := int64(0)
	for _, o := range plan.Owners {
		guaranteed += o.Quota
	}
	if len(jobs) != defaults.Jobs || len(plan.Owners) < 5 || guaranteed < plan.GPUs/2 || guaranteed > plan.GPUs {
		t.Errorf("%d jobs of %d tenants, who are guaranteed %d of %d GPUs", len(jobs), len(plan.Owners), guaranteed, plan.GPUs)
	}
	whole := defaults
	whole.Compress = 1
	real, err := whole.slice(begin)
	if err != nil {
		t.Fatal(err)
	}
	for i := range jobs {
		want := real[i].Duration.Seconds() / defaults.Compress
		if got := jobs[i].Duration.Seconds(); got > want || got < want-0.001 || jobs[i].Submit.After(real[i].Submit) {
			t.Fatalf("job %d takes %v s from %v on, want %v s", i, got, jobs[i].Submit, want)
		}
	}
}
