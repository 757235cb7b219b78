package live

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/crew"
	"github.com/weir-gpu/weir/kube/evict"
	"github.com/weir-gpu/weir/kube/fitness"
	"github.com/weir-gpu/weir/kube/receipt"
	"github.com/weir-gpu/weir/sched"
)

// How long a pod that could not be stopped is left alone before the engine may
// think of it again.
const (
	budgetRest  = 30 * time.Second
	refusalRest = 10 * time.Second
)

// stop evicts a pod, to free its place or to move it. Once the API shows that
// the pod is gone, the engine starts what waits for the place.
func (l *loop) stop(d *sched.Decision) {
	p, ok := l.state.Pod(d.Pod)
	if !ok {
		return // PodGone has been told, or is about to be
	}
	if f := l.flights[d.Pod]; f != nil && f.phase != binding && f.phase != landed {
		// It has not started yet: it just stays where it is, waiting.
		l.end(f)
		l.tell(sched.EvictFailed{ID: d.Pod})
		l.tell(sched.GrantFailed{ID: d.Pod})
		return
	}
	l.evict(*d, p.Object)
}

func (l *loop) evict(d sched.Decision, pod *corev1.Pod) {
	l.busy()
	order := evict.Order{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		Reason: receipt.Reason(&d) + evict.By, Message: receipt.Why(&d),
		Budgeted: d.Action == sched.Move, Counted: evict.Counted(pod),
	}
	l.crew.Add(crew.Evict, func(ctx context.Context) {
		err := l.evictor.Evict(ctx, order)
		l.inbox.post(func() { l.stopped(&d, pod, err) })
	})
}

// recount mends what a predecessor left that died while it stopped a pod.
func (l *loop) recount(pod *corev1.Pod) {
	if pod.Spec.SchedulerName != ask.SchedulerName || !evict.Uncounted(pod) {
		return
	}
	l.crew.Add(crew.Evict, func(ctx context.Context) {
		err := l.evictor.Recount(ctx, pod)
		l.log.Info("pod was about to be stopped and goes on", "pod", fitness.ID(pod), "error", err)
	})
}

// stopped takes in what became of an eviction.
func (l *loop) stopped(d *sched.Decision, pod *corev1.Pod, err error) {
	switch {
	case err == nil:
		l.log.Info("pod stopped", "pod", d.Pod, "node", pod.Spec.NodeName, "rule", d.Rule,
			"for", d.For, "for_owner", d.ForOwner)
		l.told.stopped(l, d, pod)
	case errors.Is(err, context.Canceled):
		// This scheduler is stopping; the next one decides anew.
	case errors.Is(err, evict.ErrBudget):
		l.metrics.Failed(d.Action)
		l.log.Info("pod not moved", "pod", d.Pod, "why", err)
		l.later(budgetRest, pod, sched.EvictFailed{ID: d.Pod})
	default:
		l.metrics.Failed(d.Action)
		l.log.Warn("pod could not be stopped", "pod", d.Pod, "rule", d.Rule, "error", err)
		l.later(refusalRest, pod, sched.EvictFailed{ID: d.Pod})
	}
}

// later tells the engine of an event about a pod after a while, if the pod is
// still the same and is not stopping by then.
func (l *loop) later(wait time.Duration, pod *corev1.Pod, ev sched.Event) {
	l.timers = append(l.timers, timer{l.clock.Now().Add(wait), func() {
		p, ok := l.state.Pod(fitness.ID(pod))
		if ok && p.Object.UID == pod.UID && p.Object.DeletionTimestamp == nil {
			l.tell(ev)
		}
	}})
}

type timer struct {
	at time.Time
	do func()
}

// ring does what is due.
func (l *loop) ring() {
	now, left := l.clock.Now(), l.timers[:0]
	due := []timer(nil)
	for _, t := range l.timers {
		if now.Before(t.at) {
			left = append(left, t)
		} else {
			due = append(due, t)
		}
	}
	l.timers = left
	for _, t := range due {
		t.do()
	}
}

// tick looks at what only time changes.
func (l *loop) tick() {
	l.expire()
	l.ring()
	l.leaveLost()
	l.told.tick(l)
	l.hold()
}

// How long telling is held back by a burst: until nothing was set in motion
// for a moment, and never for longer than people would wonder.
const (
	quiet   = 400 * time.Millisecond
	holdFor = 5 * time.Second
)

// busy notes that something was set in motion.
func (l *loop) busy() {
	l.moved = l.clock.Now()
	if l.holding.IsZero() {
		l.holding = l.moved
		l.crew.Hold(true)
	}
}

// hold lets telling go on when a burst is over, or lasts.
func (l *loop) hold() {
	now := l.clock.Now()
	switch {
	case l.holding.IsZero():
	case now.Sub(l.moved) > quiet:
		l.holding = time.Time{}
		l.crew.Hold(false)
	case now.Sub(l.holding) > 2*holdFor:
		l.holding = now // an equal time was theirs
		l.crew.Hold(true)
	case now.Sub(l.holding) > holdFor:
		l.crew.Hold(false)
	}
}
