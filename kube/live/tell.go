package live

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/kube/crew"
	"github.com/weir-gpu/weir/kube/receipt"
	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/sched"
)

// How often people are told. A pod that starts within patience is never told
// that it waits, so that a burst of pods costs no writes beside their bindings.
const (
	patience     = 2 * time.Second      // before a pod is told why it waits
	sameReason   = 30 * time.Second     // between two wordings of one reason
	round        = time.Second          // between two looks at all that waits
	explainBy    = 8 * time.Millisecond // of the loop's time, per beat
	tellPerBeat  = 16                   // conditions written per beat
	tellBacklog  = 256                  // writes for people under way; no more are added beyond
	startBacklog = 20000                // receipts of starts beyond are dropped
	problemEvery = 5 * time.Second      // between two looks at what is wrong with objects
)

// teller says to people what happened and why pods wait. It costs the loop a
// bounded part of its time.
type teller struct {
	waits   map[types.UID]*wait
	queue   []string // workloads to explain in this round
	round   time.Time
	looked  time.Time         // at problems
	known   map[string]string // problems by "Kind/ID"
	written int               // conditions in this beat
	seen    uint64            // changes that this round came after
	again   bool              // something could not be told in this round

	published time.Time
	shown     uint64 // changes that the statuses were published after
	stale     bool   // a status may not say what is
}

// wait is what a pod was told of why it waits.
type wait struct {
	id      string
	since   time.Time // when it was first found waiting
	reason  string
	message string
	at      time.Time
}

func newTeller() teller {
	return teller{waits: map[types.UID]*wait{}, known: map[string]string{}}
}

// tick tells what there is to tell now.
func (t *teller) tick(l *loop) {
	now := l.clock.Now()
	t.written = 0
	if now.Sub(t.looked) >= problemEvery {
		t.looked = now
		t.problems(l)
	}
	// While nothing changes there is nothing to tell.
	if now.Sub(t.published) >= round && (t.shown != l.changes || t.stale) {
		t.published, t.shown, t.stale = now, l.changes, false
		l.publish(now)
	}
	if len(t.queue) == 0 && now.Sub(t.round) >= round && (t.seen != l.changes || t.again) {
		t.round, t.seen, t.again = now, l.changes, false
		t.queue = l.engine.Waiting()
		t.sweep(l)
	}
	t.explain(l, now)
}

// explain asks the engine why workloads wait, as far as the time goes.
func (t *teller) explain(l *loop, start time.Time) {
	for len(t.queue) > 0 && t.written < tellPerBeat && l.crew.Load(crew.Tell) < tellBacklog &&
		l.clock.Since(start) < explainBy {
		id := t.queue[0]
		t.queue = t.queue[1:]
		w, ok := l.state.Workload(id)
		if !ok || !t.dueAny(l, w.Pods) {
			continue
		}
		if reason, message, ok := l.engine.Brief(id); ok {
			for _, pod := range w.Pods {
				t.waiting(l, pod, string(reason), message)
			}
		}
	}
}

// dueAny notes which pods wait and reports whether any has waited long enough
// to be told why.
func (t *teller) dueAny(l *loop, pods []string) bool {
	due := false
	for _, id := range pods {
		if pod := l.waitingPod(id); pod != nil {
			due = t.due(l, id, pod) || due
		}
	}
	return due
}

func (t *teller) due(l *loop, id string, pod *corev1.Pod) bool {
	now := l.clock.Now()
	w := t.waits[pod.UID]
	if w == nil {
		w = &wait{id: id, since: now}
		if c := scheduled(pod); c != nil && c.Status == corev1.ConditionFalse {
			w.reason, w.message, w.at = c.Reason, c.Message, now // told by a predecessor
		}
		t.waits[pod.UID] = w
	}
	if now.Sub(w.since) < patience {
		t.again = true
		return false
	}
	return true
}

// waitingPod returns a pod that waits for a decision, or nil.
func (l *loop) waitingPod(id string) *corev1.Pod {
	p, ok := l.state.Pod(id)
	if !ok || p.Grant != nil || p.Object.Spec.NodeName != "" || p.Object.DeletionTimestamp != nil ||
		l.flights[id] != nil {
		return nil
	}
	return p.Object
}

// waiting tells a pod why it waits, when that is news.
func (t *teller) waiting(l *loop, id, reason, message string) {
	pod := l.waitingPod(id)
	if pod == nil || reason == "" || reason == string(sched.ReasonRunning) || !t.due(l, id, pod) {
		return
	}
	now, w := l.clock.Now(), t.waits[pod.UID]
	if w.reason == reason && w.message == message {
		return
	}
	if w.reason == reason && now.Sub(w.at) < sameReason {
		t.again = true
		return
	}
	level := slog.LevelDebug // another wording only
	if w.reason != reason {
		level = slog.LevelInfo
	}
	l.log.Log(context.Background(), level, "pod waits", "pod", id, "reason", reason, "message", message)
	w.reason, w.message, w.at = reason, message, now
	t.written++
	condition := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message,
		LastTransitionTime: metav1.NewTime(now), ObservedGeneration: pod.Generation,
	}
	l.crew.Add(crew.Tell, func(ctx context.Context) {
		if err := l.patchCondition(ctx, pod, condition); err != nil && ctx.Err() == nil {
			l.log.Debug("a pod was not told why it waits", "pod", id, "error", err)
			l.inbox.post(func() {
				delete(t.waits, pod.UID)
				t.again = true
			})
		}
	})
}

// patchCondition is called by workers.
func (l *loop) patchCondition(ctx context.Context, pod *corev1.Pod, c corev1.PodCondition) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status":   map[string]any{"conditions": []corev1.PodCondition{c}},
	})
	if err != nil {
		return err
	}
	l.metrics.Wrote("pods/status", "patch")
	_, err = l.clients.kube.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{}, "status")
	return err
}

func scheduled(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodScheduled {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// sweep forgets pods that no longer wait.
func (t *teller) sweep(l *loop) {
	for uid, w := range t.waits {
		if pod := l.waitingPod(w.id); pod == nil || pod.UID != uid {
			delete(t.waits, uid)
		}
	}
}

// problems tells what is wrong with objects, when that is news: pods in their
// condition, owners in their status, the rest in the log.
func (t *teller) problems(l *loop) {
	known := map[string]string{}
	problems := l.state.Problems()
	for _, use := range l.state.RuleUses() {
		if err := l.owners.Refused(use.Kind); err != nil {
			problems = append(problems, state.Problem{Kind: "WorkloadRule", ID: use.Name, Message: err.Error()})
		}
	}
	for _, p := range problems {
		key := p.Kind + "/" + p.ID
		known[key] = p.Message
		if p.Kind == "Pod" {
			t.waiting(l, p.ID, reasonInvalid, p.Message)
		}
		if t.known[key] != p.Message {
			l.log.Warn("an object cannot be followed as it is", "kind", p.Kind, "object", p.ID, "problem", p.Message)
		}
	}
	if !maps.Equal(t.known, known) {
		t.stale = true // owners' statuses say it
	}
	t.known = known
}

// reasonInvalid is the reason of pods that ask for what nobody could give.
const reasonInvalid = "InvalidRequest"

// started writes the receipt of a start. Pods with claims get none: their
// claims say which devices they have, and four writes are enough for one pod.
func (t *teller) started(l *loop, f *flight) {
	d := &f.decision
	if !l.nodes[d.Grant.Node].Counted && len(d.Grant.Devices) > 0 || l.crew.Load(crew.Tell) > startBacklog {
		return
	}
	t.write(l, &receipt.Receipt{
		About: receipt.AboutPod(f.pod), Reason: "Scheduled", Action: "Bind",
		Note: receipt.Placed(d, l.nodes[d.Grant.Node].Counted),
	})
}

// stopped writes the receipts of an eviction: one about the pod, and one about
// what will have to make the pod anew, where its owner looks.
func (t *teller) stopped(l *loop, d *sched.Decision, pod *corev1.Pod) {
	controller, controlled := receipt.AboutController(pod)
	note := receipt.Why(d) + " " + receipt.WhatNow(d, controlled)
	r := &receipt.Receipt{
		About: receipt.AboutPod(pod), Warning: true, Reason: receipt.Reason(d), Action: string(d.Action), Note: note,
	}
	t.write(l, r)
	if controlled {
		about := receipt.AboutPod(pod)
		t.write(l, &receipt.Receipt{
			About: controller, Related: &about, Warning: true, Reason: r.Reason, Action: r.Action,
			Note: "Pod " + pod.Name + ": " + note,
		})
	}
}

// write has a receipt written when there is time.
func (t *teller) write(l *loop, r *receipt.Receipt) {
	l.crew.Add(crew.Tell, func(ctx context.Context) {
		if err := l.receipts.Write(ctx, r); err != nil && ctx.Err() == nil {
			l.log.Debug("a receipt was not written", "error", err)
		}
	})
}
