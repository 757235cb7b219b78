package snapshot

import (
	"time"

	"github.com/weir-gpu/weir/sched"
)

// foreseen answers from two engines: one that knows the cluster as it is, and
// a fork that has decided what to do next.
type foreseen struct {
	*sched.Engine
	decided *sched.Engine
	waits   map[string]bool // before the decisions
	still   map[string]bool // after them
	awaits  map[string]bool // has places that others have to leave
}

// foresee lets a fork of the engine decide, so that what waits for room that
// is being made is told from what nobody makes room for.
func foresee(e *sched.Engine, now time.Time) foreseen {
	const rounds = 16 // planning may take several; what it leaves open shows as waiting
	f := foreseen{Engine: e, decided: e.Fork(), waits: setOf(e.Waiting()), awaits: map[string]bool{}}
	for range rounds {
		f.decided.Decide(sched.Time(now.UnixMilli()))
		if !f.decided.More() {
			break
		}
	}
	f.still = setOf(f.decided.Waiting())
	for _, p := range f.decided.Promises() {
		f.awaits[p.Workload] = true
	}
	return f
}

func setOf(ids []string) map[string]bool {
	set := map[string]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// Outlook tells apart what [foreseen.Explain] would answer differently for
// workloads that are alike.
func (f foreseen) Outlook(id string) string {
	switch {
	case f.awaits[id]:
		return "awaits " + id
	case !f.waits[id]:
		return "runs"
	case !f.still[id]:
		return "starts"
	}
	return "waits"
}

// Explain says why a workload is where it is.
func (f foreseen) Explain(id string) (sched.Explanation, bool) {
	is, ok := f.Engine.Explain(id)
	if !ok || !f.waits[id] {
		return is, ok
	}
	next, ok := f.decided.Explain(id)
	if ok && next.Reason != sched.ReasonRunning {
		return next, true
	}
	is.Reason = sched.ReasonQueued
	is.Message = "there is room for it: it starts as soon as the scheduler looks at it"
	is.Offers, is.Holders = nil, nil
	return is, true
}
