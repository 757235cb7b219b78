package live

import (
	"context"
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/kube/crew"
	"github.com/weir-gpu/weir/kube/evict"
	"github.com/weir-gpu/weir/kube/fitness"
	"github.com/weir-gpu/weir/kube/receipt"
	"github.com/weir-gpu/weir/kube/state"
)

// Pods whose device is lost are stopped by Kubernetes (the device taint eviction
// controller), and told so in three words. It does not see those whose claim was
// made of a count of GPUs: these are stopped here. All are told why.

const (
	deviceLost = "DeviceLost"
	// tainted is the reason in the condition of a pod that Kubernetes stops.
	tainted = "DeletionByDeviceTaintManager"
)

// leaveLost stops pods that nobody else stops.
func (l *loop) leaveLost() {
	losses := l.state.Losses()
	for i := range losses {
		p, ok := l.state.Pod(losses[i].Pod)
		if !ok || p.Object.DeletionTimestamp != nil || p.Object.Status.ExtendedResourceClaimStatus == nil ||
			p.Object.Spec.NodeName == "" || l.leaving[p.Object.UID] {
			continue
		}
		l.leave(&losses[i], p.Object)
	}
}

func (l *loop) leave(loss *state.Loss, pod *corev1.Pod) {
	l.leaving[pod.UID] = true
	note := whyLost(loss)
	order := evict.Order{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Reason: deviceLost + evict.By,
		Message: "Stopped by Weir: " + note, Counted: evict.Counted(pod)}
	l.crew.Add(crew.Evict, func(ctx context.Context) {
		err := l.evictor.Evict(ctx, order)
		l.inbox.post(func() {
			switch {
			case err == nil:
				delete(l.leaving, pod.UID)
				l.told.lost(l, pod, order.Message)
			case !errors.Is(err, context.Canceled):
				l.log.Warn("pod on a lost device could not be stopped", "pod", loss.Pod, "error", err)
				l.timers = append(l.timers, timer{l.clock.Now().Add(refusalRest), func() { delete(l.leaving, pod.UID) }})
			}
		})
	})
}

func whyLost(loss *state.Loss) string {
	gpus, are := "its GPU ", " is lost."
	if len(loss.Devices) > 1 {
		gpus, are = "its GPUs ", " are lost."
	}
	return gpus + strings.Join(loss.Devices, ", ") + " of node " + loss.Node + are
}

// stoppedFor tells of a pod that Kubernetes has begun to stop for a lost device.
func (l *loop) stoppedFor(pod *corev1.Pod) {
	if !isTainted(pod) {
		return
	}
	before, _ := l.state.Pod(fitness.ID(pod))
	if before.Object == nil || before.Object.UID != pod.UID || isTainted(before.Object) {
		return
	}
	for _, loss := range l.state.Losses() {
		if loss.Pod == pod.Namespace+"/"+pod.Name {
			l.told.lost(l, pod, "Stopped by Kubernetes: "+whyLost(&loss))
			return
		}
	}
}

func isTainted(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == tainted {
			return true
		}
	}
	return false
}

// lost tells a pod that was stopped, and what it belongs to, why.
func (t *teller) lost(l *loop, pod *corev1.Pod, why string) {
	l.log.Warn("pod stopped", "pod", pod.Namespace+"/"+pod.Name, "why", why)
	about := receipt.AboutPod(pod)
	controller, controlled := receipt.AboutController(pod)
	note := why + " Nothing recreates a bare pod: submit it again, or run it as a Job."
	if controlled {
		note = why + " What is made in its place starts elsewhere, where there is room."
		t.write(l, &receipt.Receipt{About: controller, Related: &about, Warning: true, Reason: deviceLost, Action: "Evict",
			Note: "Pod " + pod.Name + ": " + note})
	}
	t.write(l, &receipt.Receipt{About: about, Warning: true, Reason: deviceLost, Action: "Evict", Note: note})
}
