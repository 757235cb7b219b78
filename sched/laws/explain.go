package laws

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

func explainsAll(r Rest) error {
	known := r.Engine.Waiting()
	for _, id := range r.Ledger.WaitingWorks() {
		if !slices.Contains(known, id) && !r.Ledger.hasPromise(id) {
			return fmt.Errorf("%s waits, but the engine's list of who waits is %v", id, known)
		}
		ex, ok := r.Engine.Explain(id)
		switch {
		case !ok:
			return fmt.Errorf("%s waits and is not explained", id)
		case ex.Reason == "" || ex.Message == "" || ex.Asked == "":
			return fmt.Errorf("the explanation of %s lacks words: %+v", id, ex)
		case ex.Reason == sched.ReasonRunning && len(r.Ledger.Of(id, Pod.Running)) < r.Ledger.Works[id].Min:
			return fmt.Errorf("%s waits and is said to run", id)
		}
		if again, _ := r.Engine.Explain(id); !reflect.DeepEqual(again, ex) {
			return fmt.Errorf("%s is explained differently when asked twice:\n%+v\n%+v", id, ex, again)
		}
	}
	for _, id := range known {
		if !slices.Contains(r.Ledger.WaitingWorks(), id) {
			return fmt.Errorf("%s is said to wait, but has no waiting pod", id)
		}
	}
	return nil
}

// explainsTruly grants, on a fork, all that an explanation says is missing.
// Where that is only what has to be known before anything can be counted (the
// owner, the gang's pods …), or where pods are unequal and compete among
// themselves, or where the charge depends on the device that was granted, the
// next explanation is followed too. What is still missing when
// it was granted is missing together with the rest, on one node.
func explainsTruly(r Rest) error {
	for _, id := range r.Ledger.WaitingWorks() {
		ex, ok := r.Engine.Explain(id)
		if !ok || r.Ledger.hasPromise(id) || ex.Reason == sched.ReasonEvicting {
			continue
		}
		what := newWhatIf(r)
		what.alone(id)
		var (
			err     error
			granted []sched.Reason
		)
		for range preliminary {
			missing := missing(ex)
			again := false
			for _, reason := range missing {
				again = again || slices.Contains(granted, reason)
				what.grant(id, reason)
			}
			if again && slices.Contains(together, ex.Reason) {
				what.addNodes(r.Ledger.Works[id])
			}
			granted = append(granted, missing...)
			if err = what.starts(id, false); err == nil {
				break
			}
			err = fmt.Errorf("%s waits because %v (%s), but with that granted: %w", id, missing, ex.Message, err)
			ex, _ = what.engine.Explain(id)
			if !r.Ledger.unequal(id) && !r.Ledger.chargedBySize(id) && !slices.Contains(together, ex.Reason) &&
				!slices.ContainsFunc(missing, func(r sched.Reason) bool { return slices.Contains(preliminary, r) }) {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// together are the reasons for which enough may be there, but not on one node.
var together = []sched.Reason{sched.ReasonNoDevices, sched.ReasonNoResource}

// unequal reports whether the workload's waiting pods ask for different things.
func (l *Ledger) unequal(workload string) bool {
	pods := l.Of(workload, Pod.Waiting)
	return slices.ContainsFunc(pods, func(p Pod) bool { return !equalAsks(p.Ask, pods[0].Ask) })
}

// chargedBySize reports whether pods that wait ask for memory of devices of
// which there are several sizes: what quota they take is known only with a
// device.
func (l *Ledger) chargedBySize(workload string) bool {
	sizes := map[int64]bool{}
	for _, n := range l.Nodes {
		for _, d := range n.Devices {
			sizes[d.MemoryMiB] = true
		}
	}
	byMemory := func(p Pod) bool { return p.Waiting() && p.Ask.Part.MemoryMiB > 0 }
	return len(sizes) > 1 && len(l.Of(workload, byMemory)) > 0
}

// preliminary are the reasons for which nothing else is looked at.
var preliminary = []sched.Reason{
	sched.ReasonSuspended, sched.ReasonIncomplete, sched.ReasonNoOwner, sched.ReasonNoPool, sched.ReasonNoModel,
	sched.ReasonFitness,
}

// missing lists the reasons that an explanation names, findings included.
func missing(ex sched.Explanation) []sched.Reason {
	out := []sched.Reason{ex.Reason}
	var walk func([]sched.Finding)
	walk = func(fs []sched.Finding) {
		for _, f := range fs {
			if !f.OK && f.Reason != "" && !slices.Contains(out, f.Reason) {
				out = append(out, f.Reason)
			}
			walk(f.Children)
		}
	}
	walk(ex.Findings)
	return out
}

func offersHold(r Rest) error {
	for _, id := range r.Ledger.WaitingWorks() {
		if len(r.Ledger.Of(id, Pod.Waiting)) != len(r.Ledger.Of(id, func(Pod) bool { return true })) {
			continue
		}
		ex, _ := r.Engine.Explain(id)
		for _, o := range ex.Offers {
			if err := TryOffer(r, id, o); err != nil {
				return fmt.Errorf("%s is offered %q (%+v): %w", id, o.Message, o, err)
			}
		}
	}
	return nil
}

// TryOffer changes, on a fork, a waiting workload's request as the offer says,
// and returns an error unless it then starts at once.
func TryOffer(r Rest, id string, o sched.Offer) error {
	what := newWhatIf(r)
	w := r.Ledger.Works[id]
	pods := r.Ledger.Of(id, Pod.Waiting)
	what.tell(sched.WorkloadGone{ID: id})
	w.Preemptible = w.Preemptible || o.Preemptible
	if o.Pods > 0 && o.Pods < len(pods) {
		pods = pods[:o.Pods]
	}
	w.Min = min(w.Min, len(pods))
	what.tell(sched.WorkloadSet{Workload: w})
	for _, p := range pods {
		ask := p.Ask
		if o.Devices > 0 {
			ask.Devices = o.Devices
		}
		if o.Fraction > 0 && o.Fraction != ask.Part.Fraction {
			ask.Part = sched.Part{Fraction: o.Fraction}
		}
		if o.Model != "" {
			ask.Models = []string{o.Model}
		}
		what.tell(sched.PodSet{Workload: id, Pod: sched.Pod{ID: p.ID, Ask: ask}})
	}
	return what.starts(id, true)
}
