package replay

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/trace"
)

var start = time.UnixMilli(1_700_000_000_000).UTC()

// jobs reads a history: "a 0 60 2" is a job of tenant a, submitted at the
// start, that runs for 60 s on 2 GPUs.
func jobs(t *testing.T, text string) []trace.Job {
	t.Helper()
	var out []trace.Job
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		var tenant string
		var submit, duration, gpus int
		if _, err := fmt.Sscan(line, &tenant, &submit, &duration, &gpus); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, trace.Job{ID: fmt.Sprint(i), Tenant: tenant, GPUs: gpus,
			Submit: start.Add(time.Duration(submit) * time.Second), Duration: time.Duration(duration) * time.Second})
	}
	trace.Sort(out)
	return out
}

// pool is a shared plan in which a and b each would have half.
func pool(gpus int64, quotas map[string]int64) Plan {
	p := Plan{Name: "quota", GPUs: gpus, PerNode: 4, Owners: []Owner{{Name: "a", Share: gpus / 2}, {Name: "b", Share: gpus / 2}}}
	return p.With(quotas)
}

func mustRun(t *testing.T, jobs []trace.Job, p Plan, o Options) *Result {
	t.Helper()
	r, err := Run(t.Context(), jobs, p, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is borrowed comes back by stopping work, which starts anew; its time is
// counted as lost and as wait.
func TestReclaim(t *testing.T) {
	history := jobs(t, `
		a   0 1000 4
		b 100  50 2
	`)
	r := mustRun(t, history, pool(4, map[string]int64{"a": 2, "b": 2}), Options{})
	a, b := r.Tenants[0], r.Tenants[1]
	if b.Wait.Mean != 0 || b.Evictions != 0 {
		t.Errorf("b waits %v and is evicted %d times", b.Wait.Mean, b.Evictions)
	}
	if a.Evictions != 1 || a.Wait.Mean != 150 || a.LostHours != 4*100.0/3600 || a.Lost != 10 {
		t.Errorf("a is %+v, want one eviction after 100 s on 4 GPUs and 150 s of wait", a)
	}
	if r.Violation != 0 || r.Jain != 1 {
		t.Errorf("quota violated for %v s, Jain %v", r.Violation, r.Jain)
	}
	r = mustRun(t, history, pool(4, nil), Options{})
	if r.Evictions != 0 || r.Tenants[1].Wait.Mean != 900 {
		t.Errorf("without quotas: %d evictions, b waits %v s", r.Evictions, r.Tenants[1].Wait.Mean)
	}
}

// A job of more GPUs than a node has is a gang; with topology, smaller ones
// stay on one node.
func TestTopology(t *testing.T) {
	history := jobs(t, `
		a 0 100 3
		a 0 100 3
		a 0 100 2
		b 1 10 8
	`)
	p := pool(8, nil)
	if r := mustRun(t, history, p, Options{}); r.Tenants[0].Wait.Mean != 0 || r.Tenants[1].Wait.Mean != 99 {
		t.Errorf("counted: %+v", r.Tenants)
	}
	p.Topology = true
	if r := mustRun(t, history, p, Options{}); r.Tenants[0].Wait.P99 != 100 || r.Tenants[1].Wait.Mean != 199 {
		t.Errorf("with topology: %+v", r.Tenants)
	}
}

// A node that fails takes the work on it along, whole gangs too.
func TestFailures(t *testing.T) {
	history := jobs(t, "a 0 100000 8\nb 0 10 1")
	o := Options{Failures: Failures{Every: 30 * time.Hour, Repair: time.Hour, Seed: 2}}
	r := mustRun(t, history, pool(12, nil), o)
	a := r.Tenants[0]
	if a.Failures == 0 || a.LostHours == 0 || a.Wait.Mean < 1 || a.Evictions != 0 {
		t.Errorf("a is %+v, want failures", a)
	}
	if again := mustRun(t, history, pool(12, nil), o); !reflect.DeepEqual(r, again) {
		t.Error("the same seed gave two results")
	}
}

// What is suspended goes on where it was; each way costs the job's GPUs ten
// seconds.
func TestSwap(t *testing.T) {
	history := jobs(t, `
		a   0 1000 4
		b 100  100 2
	`)
	p := pool(4, map[string]int64{"b": 2}).Swapping(&DefaultSwap)
	r := mustRun(t, history, p, Options{})
	a, b := r.Tenants[0], r.Tenants[1]
	// b starts at 110, when a is out, and ends at 210; a goes on at 220.
	if b.Wait.Mean != 10 || b.Swaps != 0 || a.Swaps != 1 || a.Wait.Mean != 120 || r.Evictions != 0 || r.Lost != 0 {
		t.Errorf("a waits %v and b %v s, after %d swaps", a.Wait.Mean, b.Wait.Mean, r.Swaps)
	}
	if want := 4 * 20.0 / 3600; math.Abs(a.Swapping-want) > 1e-9 {
		t.Errorf("%v GPU hours of swapping, want %v", a.Swapping, want)
	}
	small := DefaultSwap
	small.States = 0
	if r := mustRun(t, history, p.Swapping(&small), Options{}); r.Swaps != 0 || r.Evictions != 1 || r.Tenants[0].LostHours != 4*100.0/3600 {
		t.Errorf("without host memory: %d swaps, %d evictions", r.Swaps, r.Evictions)
	}
}

// State that was on a node that failed is lost, and the work with it.
func TestSwapAndFail(t *testing.T) {
	history := jobs(t, `
		a     0 400000 4
		b 20000 200000 4
	`)
	p := pool(4, map[string]int64{"b": 4}).Swapping(&DefaultSwap)
	o := Options{Failures: Failures{Every: 30 * time.Hour, Repair: time.Hour, Seed: 1}}
	r := mustRun(t, history, p, o)
	a := r.Tenants[0]
	if a.Swaps == 0 || a.Failures == 0 || a.LostHours == 0 {
		t.Errorf("a is %+v, want a swap and a failure", a)
	}
	sum := 0.0
	for _, x := range r.Tenants {
		sum += x.GPUHours + x.LostHours + x.Swapping
	}
	if end := r.Completion.P99; sum > 4*end/3600+1e-6 {
		t.Errorf("%v GPU hours of work in %v s of 4 GPUs", sum, end)
	}
}

func TestStuck(t *testing.T) {
	_, err := Run(t.Context(), jobs(t, "a 0 10 9"), pool(8, nil), Options{})
	if err == nil || !strings.Contains(err.Error(), "job 0 of tenant a would wait for ever in a cluster of 8 GPUs") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, jobs(t, "a 0 10 1"), pool(8, nil), Options{}); err == nil {
		t.Error("a run went on though it was told to end")
	}
}

// The bursty tenant is the same for the same seed, asks for all at once, and
// leaves the others as they are.
func TestBursts(t *testing.T) {
	history := jobs(t, "a 0 10 1\nb 2000000 10 1")
	more := Bursts(slices.Clone(history), start, 100, 7)
	if again := Bursts(slices.Clone(history), start, 100, 7); !reflect.DeepEqual(more, again) {
		t.Error("the same seed gave two tenants")
	}
	at, others := map[time.Time]int{}, 0
	for _, j := range more {
		if j.Tenant != Bursty {
			others++
			continue
		}
		at[j.Submit] += j.GPUs
		if j.Duration < burstLeast-time.Second || j.Duration > burstMost {
			t.Errorf("a job runs for %v", j.Duration)
		}
	}
	if others != 2 || len(at) < 3 {
		t.Errorf("%d jobs of others, %d bursts", others, len(at))
	}
	for when, gpus := range at {
		if gpus != 100 {
			t.Errorf("the burst at %v asks for %d GPUs", when, gpus)
		}
	}
}

func TestSpread(t *testing.T) {
	var ms []int64
	for i := range int64(200) {
		ms = append(ms, 1000*(200-i))
	}
	if got, want := spread(ms), (Spread{100.5, 100, 198}); got != want {
		t.Errorf("spread is %v, want %v", got, want)
	}
	if got := jain([]float64{1, 0, 0, 0}); got != 0.25 {
		t.Errorf("Jain's index of one who has all of four is %v", got)
	}
	if got := jain([]float64{.3, .3}); math.Abs(got-1) > 1e-12 {
		t.Errorf("Jain's index of equals is %v", got)
	}
}

// Demand counts a job in every bin it touches, and jobs from before.
func TestDemand(t *testing.T) {
	history := jobs(t, `
		a -1200 1300 3
		a   300  600 2
		b     0    1 9
	`)
	of := Demands(history, start, start.Add(25*time.Minute))
	if got := fmt.Sprint(of["a"].bins); got != "[5 2 0]" {
		t.Errorf("demand of a is %s", got)
	}
	if a, b := of["a"], of["b"]; a.Size(500, 4) != 4 || a.Size(950, 4) != 8 || b.Quantile(500) != 0 || b.Size(500, 4) != 12 {
		t.Errorf("sizes %d %d %d", a.Size(500, 4), a.Size(950, 4), b.Size(500, 4))
	}
}

// What is expected of jobs is learned from those before: of two sizes, of which
// one was always short, that goes first though it came last.
func TestShortest(t *testing.T) {
	history := jobs(t, `
		a     0   60 1
		a     0   60 1
		a     0   60 1
		a     0 7200 2
		a     0 7200 2
		a     0 7200 2
		a 40000 8000 4
		a 40010 7200 2
		a 40010 7200 2
		a 40020   60 1
		a 40020   60 1
	`)
	p := pool(4, nil)
	fifo := mustRun(t, history, p, Options{})
	p.Discipline = sched.Shortest
	shortest := mustRun(t, history, p, Options{})
	// 60 s for two long jobs, instead of 7,200 s for two short ones.
	if by := (fifo.Wait.Mean - shortest.Wait.Mean) * float64(len(history)); by < 2*7000 || by > 2*7200 {
		t.Errorf("jobs wait %v s, and %v s with the shortest first", fifo.Wait.Mean, shortest.Wait.Mean)
	}
}
