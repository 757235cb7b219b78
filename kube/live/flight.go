package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/kube/bind"
	"github.com/weir-gpu/weir/kube/crew"
	"github.com/weir-gpu/weir/kube/receipt"
	"github.com/weir-gpu/weir/sched"
)

// flight is a pod on its way from the decision to the API showing it bound.
// While it is there, what the engine decided holds, whatever the watches,
// which lag behind each other, show of the pod.
type flight struct {
	decision sched.Decision
	pod      *corev1.Pod
	phase    phase
	adopted  bool // begun by a scheduler that was killed
	began    time.Time
	until    time.Time       // when the phase is given up
	awaits   string          // the claim, "namespace/name", that its pod named before it was seen
	void     bool            // the engine has taken the pod back already
	next     *sched.Decision // what it decided since
}

type phase int

const (
	waitsForClaim phase = iota // of kube-controller-manager
	binding                    // a worker has it
	landed                     // bound; the watch has to show it
	rests                      // failed; it is not tried again before until
)

// How long things may take.
const (
	claimPatience = 60 * time.Second
	watchPatience = 5 * time.Minute
)

// start sets a pod on its way to the node that was decided.
func (l *loop) start(d *sched.Decision) {
	if f := l.flights[d.Pod]; f != nil {
		f.next = d // the engine took the pod back while a worker has it
		return
	}
	p, ok := l.state.Pod(d.Pod)
	if !ok || p.Object.DeletionTimestamp != nil {
		l.tell(sched.GrantFailed{ID: d.Pod}) // PodGone is on its way
		return
	}
	l.takeOff(&flight{decision: *d, pod: p.Object, began: l.clock.Now()})
}

// takeOff begins a flight.
func (l *loop) takeOff(f *flight) {
	l.busy()
	l.flights[f.decision.Pod] = f
	l.book.Assume(f.decision.Pod, f.decision.Grant.Node)
	f.phase, f.until = waitsForClaim, l.clock.Now().Add(claimPatience)
	l.launch(f)
}

// launch hands a flight to a worker, once all it needs is there.
func (l *loop) launch(f *flight) {
	order, release, err := l.order(f)
	if err != nil {
		l.failed(f, err)
		return
	}
	if order == nil {
		return // until the claim is seen
	}
	f.phase = binding
	job := func(ctx context.Context) {
		err := l.binder.Bind(ctx, order)
		if err != nil {
			release()
		}
		l.inbox.post(func() { l.bound(f, err) })
	}
	if order.Prepare != nil {
		l.crew.Aside(job) // volumes may take minutes to be provisioned
		return
	}
	l.crew.Add(crew.Bind, job)
}

// bound takes in what became of a binding.
func (l *loop) bound(f *flight, err error) {
	if l.flights[f.decision.Pod] != f {
		return // the pod is another one by now
	}
	elsewhere := (*bind.ElsewhereError)(nil)
	switch {
	case err == nil:
		l.metrics.Bound(l.clock.Since(f.began))
		l.log.Info("pod started", "pod", f.decision.Pod, "node", f.decision.Grant.Node,
			"gpus", len(f.decision.Grant.Devices), "borrowed", f.decision.Borrowed, "resumed", f.adopted)
		delete(l.trouble, f.decision.Pod)
		l.told.started(l, f)
	case errors.Is(err, bind.ErrGone), errors.As(err, &elsewhere):
		l.log.Info("pod not started", "pod", f.decision.Pod, "node", f.decision.Grant.Node, "why", err)
		f.next = nil
	case errors.Is(err, context.Canceled):
		return // this scheduler is stopping
	default:
		l.failed(f, err)
		return
	}
	// All that is left is the watch catching up with what the API server said.
	f.phase, f.until = landed, l.clock.Now().Add(watchPatience)
	l.review(f.decision.Pod)
}

// failed keeps the place of a pod that could not be bound for a while, so that
// the same is not tried in a circle.
func (l *loop) failed(f *flight, err error) {
	id := f.decision.Pod
	l.trouble[id]++
	rest := min(time.Second<<min(l.trouble[id]-1, 6), time.Minute)
	f.phase, f.until = rests, l.clock.Now().Add(rest)
	l.metrics.Failed(sched.Start)
	l.log.Warn("pod could not be started", "pod", id, "node", f.decision.Grant.Node, "again_in", rest, "error", err)
	l.told.write(l, &receipt.Receipt{About: receipt.AboutPod(f.pod), Warning: true, Reason: "FailedScheduling",
		Action: "Bind",
		Note:   fmt.Sprintf("Could not be started on node %s: %v. Weir tries again.", f.decision.Grant.Node, err)})
}

// review looks at a flight after its pod changed.
func (l *loop) review(id string) {
	f := l.flights[id]
	if f == nil {
		return
	}
	p, ok := l.state.Pod(id)
	switch {
	case !ok || p.Object.UID != f.pod.UID:
		l.end(f)
	case p.Object.Spec.NodeName != "":
		if f.phase == landed && (p.Grant == nil || !l.incomplete(f, *p.Grant)) {
			l.end(f)
		}
	case f.phase == waitsForClaim:
		f.pod = p.Object
		l.launch(f)
	}
}

// end forgets a flight: the API shows all there is to know.
func (l *loop) end(f *flight) {
	delete(l.flights, f.decision.Pod)
	delete(l.trouble, f.decision.Pod)
	delete(l.awaited, f.awaits)
	l.book.Forget(f.decision.Pod)
}

// withdrawn notes that the engine is about to be told that a pod is gone. The
// pod may be there all the same: when it changed a lot, it is told of anew.
func (l *loop) withdrawn(id string) {
	if f := l.flights[id]; f != nil {
		f.void = true
	}
}

// insist tells the engine again where a pod is going that was told of anew: a
// binding that a worker has cannot be called back.
func (l *loop) insist(id string) {
	f := l.flights[id]
	if f == nil || !f.void || f.phase != binding && f.phase != landed {
		return
	}
	if p, ok := l.state.Pod(id); ok && p.Object.UID == f.pod.UID {
		f.void = false
		l.tell(sched.PodGranted{ID: id, Grant: f.decision.Grant, Since: l.now()})
	}
}

// late reports whether an event tells less of a pod on its way than is known
// already: the pod shows its node before its claims show their devices.
func (l *loop) late(ev *sched.PodGranted) bool {
	f := l.flights[ev.ID]
	if f == nil || !l.incomplete(f, ev.Grant) {
		return false
	}
	p, ok := l.state.Pod(ev.ID)
	return ok && p.Object.UID == f.pod.UID
}

// incomplete reports whether a grant at the flight's own node lacks devices
// that were decided for it.
func (l *loop) incomplete(f *flight, g sched.Grant) bool {
	want := f.decision.Grant
	if g.Node != want.Node || l.nodes[g.Node].Counted {
		return false
	}
	if len(g.Devices) < len(want.Devices) {
		return true
	}
	for _, s := range g.Devices {
		if s.Device == "" {
			return true
		}
	}
	return false
}

// seen follows up on a grant that the API shows: a pod that holds devices but
// is not bound was left half way by a scheduler that was killed.
func (l *loop) seen(ev *sched.PodGranted) {
	if l.flights[ev.ID] != nil {
		l.review(ev.ID)
		return
	}
	p, ok := l.state.Pod(ev.ID)
	if !ok || p.Object.Spec.NodeName != "" || p.Object.DeletionTimestamp != nil {
		return
	}
	l.log.Info("finishing a start that was interrupted", "pod", ev.ID, "node", ev.Grant.Node)
	l.takeOff(&flight{
		decision: sched.Decision{Action: sched.Start, Workload: p.Workload, Pod: ev.ID, Grant: ev.Grant},
		pod:      p.Object, adopted: true, began: l.clock.Now(),
	})
}

// expire ends phases that took too long.
func (l *loop) expire() {
	now := l.clock.Now()
	for _, f := range l.flights {
		if f.phase == binding || now.Before(f.until) {
			continue
		}
		switch f.phase {
		case waitsForClaim:
			l.failed(f, errors.New("its ResourceClaim is missing; it is made by the resourceclaim controller of "+
				"kube-controller-manager: see that it runs"))
		case landed:
			// Handing it back could grant its place twice: keep waiting.
			l.log.Warn("the watch does not show what became of a pod", "pod", f.decision.Pod,
				"node", f.decision.Grant.Node, "since", f.began)
			f.until = now.Add(watchPatience)
		case rests:
			l.giveUp(f)
		}
	}
}

// giveUp hands a pod back to the engine.
func (l *loop) giveUp(f *flight) {
	id := f.decision.Pod
	delete(l.flights, id)
	delete(l.awaited, f.awaits)
	l.book.Forget(id)
	switch {
	case f.next != nil:
		l.start(f.next)
	case !f.void:
		l.tell(sched.GrantFailed{ID: id})
	}
}
