package replay

import (
	"slices"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/trace"
)

// tally counts while a run goes on.
type tally struct {
	plan   *Plan
	of     map[string]*account
	order  []*account    // as the plan has them
	gpus   int64         // of nodes that are up
	at     sched.Time    // up to when time is counted
	window [2]sched.Time // from the first submission to the last
}

// account is what is counted of one tenant. Times are in ms.
type account struct {
	waits, times []int64 // by job
	work         int64   // GPU·ms of its jobs
	busy         int64   // GPU·ms in use inside the window
	lost         int64   // GPU·ms of work thrown away
	swapping     int64   // GPU·ms in which state was brought out or in
	swaps        int     // runs that were put aside
	evictions    int
	failures     int // runs that ended with their node

	quota, weight int64
	using         int64       // GPUs
	waiting       map[int]int // jobs, by their GPUs
	wanting       int64       // GPUs of all of these
	violation     int64       // while it waited for less than its quota leaves

	// While any of its jobs waited: for how long, what it had (GPU·ms), and what
	// was due to it (grain·ms).
	backlog, had, due int64
}

// cause is why a run ended early.
type cause int

const (
	evicted cause = iota
	failed
)

func newTally(p *Plan, jobs []trace.Job) *tally {
	t := &tally{plan: p, of: map[string]*account{}, gpus: p.GPUs}
	if len(jobs) > 0 {
		t.window = [2]sched.Time{submitted(&jobs[0]), submitted(&jobs[len(jobs)-1])}
		t.at = t.window[0]
	}
	for _, o := range p.Owners {
		a := &account{quota: o.Quota, weight: o.Weight, waiting: map[int]int{}}
		t.of[o.Name] = a
		t.order = append(t.order, a)
	}
	return t
}

// pass counts the time up to now.
func (t *tally) pass(now sched.Time) {
	d := int64(now - t.at)
	t.at = now
	waits := func(a *account) bool { return a.wanting > 0 }
	if d == 0 || !slices.ContainsFunc(t.order, waits) {
		return
	}
	for i, due := range t.due() {
		if a := t.order[i]; waits(a) {
			a.backlog, a.had, a.due = a.backlog+d, a.had+d*a.using, a.due+d*due
			if a.short() {
				a.violation += d
			}
		}
	}
}

// due is what is due to each tenant now, in grains.
func (t *tally) due() []int64 {
	if t.plan.Apart {
		var due []int64
		for _, a := range t.order {
			due = append(due, min(a.using+a.wanting, a.quota)*grain)
		}
		return due
	}
	var of []claimant
	for _, a := range t.order {
		of = append(of, claimant{a.using + a.wanting, a.quota, a.weight})
	}
	return divide(t.gpus, of)
}

// short reports whether a waits for a job that its quota has room for.
func (a *account) short() bool {
	for gpus := range a.waiting {
		if a.using+int64(gpus) <= a.quota {
			return true
		}
	}
	return false
}

// nodes counts GPUs that came up or, if below 0, failed.
func (t *tally) nodes(gpus int, now sched.Time) {
	t.pass(now)
	t.gpus += int64(gpus)
}

// touch returns the account of j's tenant, with the time up to now counted.
func (t *tally) touch(j *trace.Job, now sched.Time) *account {
	t.pass(now)
	return t.of[j.Tenant]
}

func (a *account) wait(gpus, jobs int) {
	a.wanting += int64(gpus) * int64(jobs)
	if a.waiting[gpus] += jobs; a.waiting[gpus] == 0 {
		delete(a.waiting, gpus)
	}
}

func (t *tally) submit(j *trace.Job) {
	a := t.touch(j, submitted(j))
	a.wait(j.GPUs, 1)
	a.work += int64(j.GPUs) * j.Duration.Milliseconds()
}

// start counts a run that begins, and for how long it does nothing at first.
func (t *tally) start(j *trace.Job, idle, now sched.Time) {
	a := t.touch(j, now)
	a.wait(j.GPUs, -1)
	a.using += int64(j.GPUs)
	a.swapping += int64(j.GPUs) * int64(idle)
}

// stop counts a run that ends now.
func (t *tally) stop(j *trace.Job, since, now sched.Time) {
	a := t.touch(j, now)
	a.using -= int64(j.GPUs)
	inside := min(now, t.window[1]) - max(since, t.window[0])
	a.busy += int64(j.GPUs) * max(int64(inside), 0)
}

// end counts a job that is done.
func (t *tally) end(j *trace.Job, now sched.Time) {
	a := t.touch(j, now)
	took := int64(now - submitted(j))
	a.times = append(a.times, took)
	a.waits = append(a.waits, took-j.Duration.Milliseconds())
}

// suspend counts a run that was put aside, which takes its GPUs a while yet.
func (t *tally) suspend(j *trace.Job, since, now, cost sched.Time) {
	t.stop(j, since, now)
	a := t.of[j.Tenant]
	a.wait(j.GPUs, 1)
	a.swaps++
	a.swapping += int64(j.GPUs) * int64(cost)
	a.busy += int64(j.GPUs) * max(int64(min(now+cost, t.window[1])-max(now, t.window[0])), 0)
}

// again counts a job that waits anew.
func (t *tally) again(j *trace.Job, now sched.Time) { t.touch(j, now).wait(j.GPUs, 1) }

// lose counts work that has to be done again.
func (t *tally) lose(j *trace.Job, work sched.Time, why cause) {
	a := t.of[j.Tenant]
	a.lost += int64(j.GPUs) * int64(work)
	if why == failed {
		a.failures++
	} else {
		a.evictions++
	}
}
