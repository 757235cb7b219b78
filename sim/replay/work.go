package replay

import (
	"fmt"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/trace"
)

// work is a job that was submitted and has not ended.
type work struct {
	job     *trace.Job
	id      string
	pods    []sched.PodSet
	nodes   []string   // where the started ones of them are
	started int        // pods that have a place
	left    sched.Time // what it has to run yet
	since   sched.Time // when it started
	ends    sched.Time
	at      int // place in run.running; -1 while it waits
}

func newWork(j *trace.Job, number int, p *Plan) *work {
	n, ask := p.pods(j.GPUs)
	w := &work{job: j, id: fmt.Sprintf("%s/%08d", j.Tenant, number), left: sched.Time(j.Duration.Milliseconds()), at: -1}
	w.pods, w.nodes = make([]sched.PodSet, n), make([]string, 0, n)
	for i := range w.pods {
		w.pods[i] = sched.PodSet{Workload: w.id, Pod: sched.Pod{ID: fmt.Sprintf("%s-%d", w.id, i), Ask: ask}}
	}
	return w
}

// workload is w as the engine knows it. Its duration is not among that.
func (w *work) workload() sched.Workload {
	return sched.Workload{
		ID: w.id, Owner: w.job.Tenant, Kind: sched.Train, Preemptible: true, Min: len(w.pods),
		Submitted: submitted(w.job),
	}
}

// placed notes where one of w's pods is, and reports whether all have a place.
func (w *work) placed(d *sched.Decision) bool {
	if w.started == 0 {
		w.nodes = w.nodes[:0]
	}
	w.started++
	w.nodes = append(w.nodes, d.Grant.Node)
	return w.started == len(w.pods)
}

// ends is a heap of running work by when it ends.
type ends []*work

func (e ends) Len() int { return len(e) }

func (e ends) Less(i, j int) bool {
	if e[i].ends != e[j].ends {
		return e[i].ends < e[j].ends
	}
	return e[i].id < e[j].id
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
