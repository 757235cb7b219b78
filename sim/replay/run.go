package replay

import (
	"container/heap"
	"context"
	"fmt"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/past"
	"github.com/weir-gpu/weir/sim/stage"
	"github.com/weir-gpu/weir/sim/trace"
)

// Options of a run.
type Options struct {
	// Engine is what the engine is built with, as the live scheduler's is.
	Engine sched.Config
	// Failures are those of nodes; none by default.
	Failures Failures
	// Progress, if set, is called now and then with how many jobs have ended.
	Progress func(ended, all int)
}

// Run plays jobs, which are in order of submission, on a cluster that is shared
// by a plan.
func Run(ctx context.Context, jobs []trace.Job, p Plan, o Options) (*Result, error) {
	return newRun(jobs, p, o).play(ctx)
}

func newRun(jobs []trace.Job, p Plan, o Options) *run {
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	r := &run{plan: p, opts: o, jobs: jobs, stage: stage.New(o.Engine), active: map[string]*work{}}
	r.tally = newTally(&r.plan, jobs)
	return r
}

// play goes from moment to moment until all jobs have ended.
func (r *run) play(ctx context.Context) (*Result, error) {
	if err := r.prepare(); err != nil {
		return nil, fmt.Errorf("plan %s: %w", r.plan.Name, err)
	}
	for r.next < len(r.jobs) || len(r.active) > 0 {
		if err := r.step(ctx); err != nil {
			return nil, err
		}
	}
	return r.tally.result(), nil
}

// run is one simulation under way.
type run struct {
	plan  Plan
	opts  Options
	stage *stage.Stage
	tally *tally

	jobs    []trace.Job
	next    int // the job that comes next
	now     sched.Time
	active  map[string]*work // submitted and not ended
	running ends
	ended   int
	faults  faults
	swaps   []swap // under way, in order of when they are done
	past    past.Past
}

// prepare tells the engine of the cluster and its owners.
func (r *run) prepare() error {
	if err := r.stage.Tell(sched.PoolSet{Pool: r.plan.pool()}); err != nil {
		return err
	}
	for _, o := range r.plan.owners() {
		if err := r.stage.Tell(sched.OwnerSet{Owner: o}); err != nil {
			return err
		}
	}
	nodes := r.plan.nodes()
	for _, n := range nodes {
		if err := r.stage.Tell(sched.NodeSet{Node: n}); err != nil {
			return err
		}
	}
	if len(r.jobs) > 0 {
		r.now = submitted(&r.jobs[0])
	}
	r.faults = newFaults(r.opts.Failures, nodes, r.now)
	return nil
}

func submitted(j *trace.Job) sched.Time { return sched.Time(j.Submit.UnixMilli()) }

// step goes to the next moment at which anything happens.
func (r *run) step(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	at, ok := r.soonest()
	if !ok {
		return r.stuck()
	}
	r.now = at
	for _, happens := range []func() error{r.finish, r.fail, r.swap, r.arrive, r.decide} {
		if err := happens(); err != nil {
			return err
		}
	}
	return nil
}

// soonest is when something happens next.
func (r *run) soonest() (at sched.Time, ok bool) {
	consider := func(t sched.Time) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	if r.next < len(r.jobs) {
		consider(submitted(&r.jobs[r.next]))
	}
	if len(r.running) > 0 {
		consider(r.running[0].ends)
	}
	if len(r.swaps) > 0 {
		consider(r.swaps[0].at)
	}
	if wake := r.stage.Engine.Wake(); wake > r.now {
		consider(wake)
	}
	if t, some := r.faults.soonest(); some && (ok || r.faults.down()) {
		consider(t)
	}
	return at, ok
}

// stuck names a job that would wait for ever.
func (r *run) stuck() error {
	for _, id := range r.stage.Engine.Waiting() {
		w := r.active[id]
		why, _ := r.stage.Engine.Explain(id)
		return fmt.Errorf("job %s of tenant %s would wait for ever in a cluster of %d GPUs: %s",
			w.job.ID, w.job.Tenant, r.plan.GPUs, why.Message)
	}
	return fmt.Errorf("%d jobs neither wait nor run", len(r.active))
}

// finish ends the jobs whose time has come.
func (r *run) finish() error {
	for len(r.running) > 0 && r.running[0].ends <= r.now {
		w := heap.Pop(&r.running).(*work)
		r.tally.stop(w.job, w.since, r.now)
		r.tally.end(w.job, r.now)
		r.past.Ended(w.kind(), int64(w.job.GPUs)*w.job.Duration.Milliseconds())
		delete(r.active, w.ID)
		if err := r.stage.End(&w.Work); err != nil {
			return err
		}
		if r.ended++; r.ended%1000 == 0 {
			r.opts.Progress(r.ended, len(r.jobs))
		}
	}
	return nil
}

// arrive tells the engine of the jobs that are submitted now.
func (r *run) arrive() error {
	for ; r.next < len(r.jobs) && submitted(&r.jobs[r.next]) <= r.now; r.next++ {
		w := newWork(&r.jobs[r.next], r.next, &r.plan)
		r.active[w.ID] = w
		r.tally.submit(w.job)
		if r.plan.Discipline == sched.Shortest {
			w.Expected = r.past.Expected(w.kind())
		}
		if err := r.stage.Submit(&w.Work); err != nil {
			return err
		}
	}
	return nil
}

// decide lets the engine decide until it has nothing more to say.
func (r *run) decide() error { return r.stage.Decide(r.now, r.carryOut) }

// carryOut does what a decision means for jobs and the time that they take. What
// it means for the engine is the stage's.
func (r *run) carryOut(d *sched.Decision) error {
	w := r.active[d.Workload]
	switch d.Action {
	case sched.Start, sched.Resume:
		if w.placed(d) {
			r.start(w)
		}
	case sched.Evict:
		r.stop(w, evicted)
		w.started--
	case sched.Suspend:
		r.suspend(w)
		if w.started--; w.started == 0 {
			r.later(w, out)
		}
	default:
		return fmt.Errorf("the engine decided to %s %s, which a replay has no way to do", d.Action, d.Pod)
	}
	return nil
}

// start starts or resumes w, all pods of which have a place.
func (r *run) start(w *work) {
	if w.fresh && w.done > 0 { // its state went with a node
		r.tally.lose(w.job, w.done, failed)
		w.done = 0
	}
	w.begin(r.now, r.plan.Swap)
	heap.Push(&r.running, w)
	r.tally.start(w.job, w.idle, r.now)
	if !w.fresh {
		r.later(w, in)
	}
}

// stop ends a run of w, whose work is lost.
func (r *run) stop(w *work, why cause) {
	if w.at < 0 {
		return
	}
	heap.Remove(&r.running, w.at)
	r.tally.stop(w.job, w.since, r.now)
	r.tally.again(w.job, r.now)
	r.tally.lose(w.job, w.done+w.progress(r.now), why)
	w.done, w.out = 0, false
}
