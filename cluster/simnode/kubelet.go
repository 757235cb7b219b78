package simnode

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// work does for one pod after the other what its kubelet would.
func (f *Fleet) work(ctx context.Context) {
	for {
		key, quit := f.queue.Get()
		if quit {
			return
		}
		again, err := f.sync(ctx, key)
		switch {
		case err == nil:
			f.queue.Forget(key)
			if again > 0 {
				f.queue.AddAfter(key, again)
			}
		case ctx.Err() == nil:
			if !apierrors.IsConflict(err) { // else the watch is behind, nothing is wrong
				f.opts.Logger.Warn("simulated pod", "pod", key, "err", err)
			}
			f.queue.AddRateLimited(key)
		}
		f.queue.Done(key)
	}
}

// sync does the next step of a pod's life. It returns after which time to ask
// again, 0 for not before the pod changes.
func (f *Fleet) sync(ctx context.Context, key cache.ObjectName) (time.Duration, error) {
	obj, ok, err := f.pods.GetStore().GetByKey(key.String())
	if err != nil || !ok {
		return 0, err
	}
	pod := obj.(*corev1.Pod)
	node, up := f.up(pod.Spec.NodeName)
	if !up {
		return 0, nil
	}
	now := f.opts.Now()
	what, at := next(pod, f.startOf(pod), now)
	switch what {
	case run:
		if err := check(pod); err != nil {
			f.opts.Logger.Warn("simulated pod runs until it is deleted", "pod", key, "err", err)
		}
		f.begin(pod, now)
		err = f.report(ctx, pod, running(pod, hostIP(node), now))
	case finish:
		code, _ := exitCode(pod) // a bad code was told of when the pod started
		if pod.DeletionTimestamp != nil {
			code = 128 + 15 // what a container ends with on SIGTERM
		}
		err = f.report(ctx, pod, finished(pod, code, now))
	case remove:
		err = f.remove(ctx, pod)
	}
	if err != nil || at.IsZero() {
		return 0, err
	}
	return max(at.Sub(now), time.Millisecond), nil
}

// up returns a simulated node that is known and not stopped.
func (f *Fleet) up(name string) (*corev1.Node, bool) {
	obj, ok, err := f.nodes.GetStore().GetByKey(name)
	if err != nil || !ok {
		return nil, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return obj.(*corev1.Node), !f.down[name]
}

func (f *Fleet) begin(pod *corev1.Pod, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started[pod.UID] = beginning{at: now, held: f.held}
}

// startOf returns when a pod started, moved on by how long it was held up. Of
// a pod of an earlier run it is known from the status only.
func (f *Fleet) startOf(pod *corev1.Pod) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.started[pod.UID]
	if !ok && pod.Status.StartTime != nil {
		b.at = pod.Status.StartTime.Time
	}
	if b.at.IsZero() {
		return b.at
	}
	return b.at.Add(f.held - b.held)
}

// report writes a pod's status. The pod is known in part only; the API server
// takes nothing but the status and the metadata, which is whole.
func (f *Fleet) report(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	next := &corev1.Pod{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec, Status: status}
	_, err := f.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
	return ignoreGone(err)
}

func (f *Fleet) remove(ctx context.Context, pod *corev1.Pod) error {
	now := metav1.DeleteOptions{
		GracePeriodSeconds: new(int64),
		Preconditions:      metav1.NewUIDPreconditions(string(pod.UID)),
	}
	return ignoreGone(f.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, now))
}

// ignoreGone drops the error that says that a pod is no more.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func hostIP(node *corev1.Node) string {
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}
