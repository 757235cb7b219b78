package replay

import (
	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/trace"
)

// tally counts while a run goes on.
type tally struct {
	plan   *Plan
	shares int64 // of all owners
	of     map[string]*account
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

	quota, entitled int64
	at              sched.Time  // up to when the rest is counted
	using           int64       // GPUs
	waiting         map[int]int // jobs, by their GPUs
	guarantee       claim       // to its quota, while it waited
	part            claim       // to its part of the pool, while it waited
	violation       int64       // while it waited for less than its quota leaves
}

// claim is GPU·ms that a tenant could have claimed, and what of that it had.
type claim struct{ owed, had int64 }

func (c *claim) add(d, entitled, using int64) {
	c.owed += d * entitled
	c.had += d * min(using, entitled)
}

// met is the part of the claim that was met; ok is false when there was none.
func (c claim) met() (part float64, ok bool) {
	if c.owed == 0 {
		return 1, false
	}
	return float64(c.had) / float64(c.owed), true
}

// cause is why a run ended early.
type cause int

const (
	evicted cause = iota
	failed
)

func newTally(p *Plan, jobs []trace.Job) *tally {
	t := &tally{plan: p, of: map[string]*account{}}
	if len(jobs) > 0 {
		t.window = [2]sched.Time{submitted(&jobs[0]), submitted(&jobs[len(jobs)-1])}
	}
	for _, o := range p.Owners {
		t.shares += o.Share
	}
	for _, o := range p.Owners {
		t.of[o.Name] = &account{
			quota: o.Quota, entitled: p.GPUs * o.Share / max(t.shares, 1), waiting: map[int]int{}, at: t.window[0],
		}
	}
	return t
}

// touch returns the account of j's tenant, with the time up to now counted.
func (t *tally) touch(j *trace.Job, now sched.Time) *account {
	a := t.of[j.Tenant]
	d := int64(now - a.at)
	a.at = now
	if d == 0 || len(a.waiting) == 0 {
		return a
	}
	a.guarantee.add(d, a.quota, a.using)
	a.part.add(d, a.entitled, a.using)
	for gpus := range a.waiting {
		if a.using+int64(gpus) <= a.quota {
			a.violation += d
			break
		}
	}
	return a
}

func (a *account) wait(gpus, jobs int) {
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
