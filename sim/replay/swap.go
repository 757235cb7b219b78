package replay

import (
	"container/heap"

	"github.com/weir-gpu/weir/sched"
)

// direction is where state is brought: out to host memory, or in from there.
type direction bool

const (
	out direction = true
	in  direction = false
)

// swap is state on its way.
type swap struct {
	work  *work
	at    sched.Time // when it is there
	where direction
	since sched.Time // of the run that it belongs to
}

// suspend ends a run of w whose state is kept.
func (r *run) suspend(w *work) {
	if w.at < 0 {
		return
	}
	heap.Remove(&r.running, w.at)
	w.done += w.progress(r.now)
	w.out = true
	r.tally.suspend(w.job, w.since, r.now, sched.Time(r.plan.Swap.Cost.Milliseconds()))
}

// later notes that w's state is on its way. All take equally long.
func (r *run) later(w *work, where direction) {
	r.swaps = append(r.swaps, swap{w, r.now + sched.Time(r.plan.Swap.Cost.Milliseconds()), where, w.since})
}

// swap tells the engine of state that has arrived.
func (r *run) swap() error {
	for len(r.swaps) > 0 && r.swaps[0].at <= r.now {
		s := r.swaps[0]
		r.swaps = r.swaps[1:]
		w := s.work
		if r.active[w.ID] != w || w.since != s.since || s.where == out && !w.out {
			continue // it ended or failed meanwhile
		}
		for _, p := range w.places {
			var ev sched.Event = sched.PodGranted{ID: p.pod, Grant: p.grant, Since: w.since}
			if s.where == out {
				ev = sched.PodSuspended{ID: p.pod, Node: p.grant.Node, HostMiB: int64(len(p.grant.Devices)) * deviceMiB}
			}
			if err := r.stage.Tell(ev); err != nil {
				return err
			}
		}
	}
	return nil
}
