package replay

import (
	"fmt"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/past"
	"github.com/weir-gpu/weir/sim/stage"
	"github.com/weir-gpu/weir/sim/trace"
)

// work is a job that was submitted and has not ended.
type work struct {
	stage.Work
	job     *trace.Job
	places  []place    // of the started ones of them
	started int        // pods that have a place
	done    sched.Time // what it has run, up to when it was last suspended
	since   sched.Time // when it started or resumed
	idle    sched.Time // for how long it did nothing then
	out     bool       // it is suspended, or about to be
	fresh   bool       // a pod of it starts without state
	ends    sched.Time
	at      int // place in run.running; -1 while it waits
}

// place is what one pod was given.
type place struct {
	pod   string
	grant sched.Grant
}

func newWork(j *trace.Job, number int, p *Plan) *work {
	n, ask := p.pods(j.GPUs)
	w := &work{job: j, at: -1, places: make([]place, 0, n)}
	w.Workload = sched.Workload{
		ID: fmt.Sprintf("%s/%08d", j.Tenant, number), Owner: j.Tenant, Kind: sched.Train, Preemptible: true, Min: n,
		Submitted: submitted(j),
	}
	if s := p.Swap; s != nil {
		w.Swappable, w.MinRuntime = true, s.Residency.Milliseconds()
	}
	w.Pods = make([]sched.Pod, n)
	for i := range w.Pods {
		w.Pods[i] = sched.Pod{ID: fmt.Sprintf("%s-%d", w.ID, i), Ask: ask}
	}
	return w
}

// kind is what w is told apart by where run times are learned.
func (w *work) kind() past.Kind {
	return past.Kind{Owner: w.job.Tenant, GPUs: int64(w.job.GPUs) * sched.GPU}
}

// begin starts or resumes w, all pods of which have a place.
func (w *work) begin(now sched.Time, s *Swap) {
	w.since, w.idle, w.out = now, 0, false
	if !w.fresh {
		w.idle = sched.Time(s.Cost.Milliseconds())
	}
	w.ends = now + w.idle + sched.Time(w.job.Duration.Milliseconds()) - w.done
}

// progress is what w got done since it started or resumed.
func (w *work) progress(now sched.Time) sched.Time { return max(now-w.since-w.idle, 0) }

// placed notes where one of w's pods is, and reports whether all have a place.
func (w *work) placed(d *sched.Decision) bool {
	if w.started == 0 {
		w.places, w.fresh = w.places[:0], false
	}
	w.started++
	w.places = append(w.places, place{d.Pod, d.Grant})
	w.fresh = w.fresh || d.Action == sched.Start
	return w.started == len(w.Pods)
}

// ends is a heap of running work by when it ends.
type ends []*work

func (e ends) Len() int { return len(e) }

func (e ends) Less(i, j int) bool {
	if e[i].ends != e[j].ends {
		return e[i].ends < e[j].ends
	}
	return e[i].ID < e[j].ID
}

func (e ends) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].at, e[j].at = i, j
}

func (e *ends) Push(x any) {
	w := x.(*work)
	w.at = len(*e)
	*e = append(*e, w)
}

func (e *ends) Pop() any {
	last := len(*e) - 1
	w := (*e)[last]
	w.at, (*e)[last] = -1, nil
	*e = (*e)[:last]
	return w
}
