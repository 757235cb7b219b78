// Package evict stops one pod, politely: the pod's condition says why before
// the pod is deleted, its grace period is kept, and every request names the
// pod's UID so that nothing recreated under the same name is hurt.
//
// Pods that give way to make room only (moves) go through the Eviction API,
// which keeps to PodDisruptionBudgets. Quotas are stronger than budgets:
// what is reclaimed or preempted is deleted.
//
// To be stopped is no failure of a Job. The Job controller would count each
// pod of a gang as one: it would wait for up to ten minutes before it makes
// them anew, and fail the Job by its backoffLimit. So its finalizer is taken
// from the pod first, as it does itself with pods that it stops. Whoever finds
// a pod without it that goes on ([Uncounted]) gives it back by [Evictor.Recount].
// A pod that is moved is not marked before, and so not found: where a scheduler
// dies between two writes of a move, and the pod then ends by itself, its Job
// runs it once more.
package evict

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/weir-gpu/weir/kube/again"
)

// By ends the reason in the condition of a pod that Weir stops.
const By = "ByWeir"

// Order is one pod to stop.
type Order struct {
	Namespace, Name string
	UID             types.UID
	Reason, Message string // for the pod's DisruptionTarget condition
	Budgeted        bool   // only as far as PodDisruptionBudgets allow
	Counted         bool   // the Job controller has its finalizer on it
}

// ErrBudget says that a PodDisruptionBudget does not allow the eviction now.
var ErrBudget = errors.New("a PodDisruptionBudget does not allow it now")

// Evictor carries orders out. It may be used from many goroutines.
type Evictor struct {
	client kubernetes.Interface
	clock  clock.Clock
	wrote  func(resource, verb string)
}

// New returns an Evictor. wrote is told of every write that is tried.
func New(client kubernetes.Interface, clock clock.Clock, wrote func(resource, verb string)) *Evictor {
	return &Evictor{client: client, clock: clock, wrote: wrote}
}

// Evict carries an order out. A nil error says that the pod is stopping or
// gone. Other results are [ErrBudget], a refusal by the API server, and the
// error of ctx.
func (e *Evictor) Evict(ctx context.Context, o Order) error {
	if o.Budgeted {
		return settled(e.ask(ctx, o))
	}
	mark, err := markPatch(o, e.clock.Now())
	if err != nil {
		return err
	}
	if err := e.insist(ctx, func() error { return e.mark(ctx, o, mark) }); err != nil {
		return settled(err)
	}
	if o.Counted {
		if err := e.insist(ctx, func() error { return e.count(ctx, o, false) }); err != nil {
			return settled(err)
		}
	}
	return settled(e.insist(ctx, func() error { return e.delete(ctx, o) }))
}

// ask evicts as far as budgets allow. The Eviction API sets the condition
// itself, if it evicts.
func (e *Evictor) ask(ctx context.Context, o Order) error {
	if o.Counted {
		if err := e.insist(ctx, func() error { return e.evict(ctx, o, metav1.DryRunAll) }); err != nil {
			return err
		}
		if err := e.insist(ctx, func() error { return e.count(ctx, o, false) }); err != nil {
			return err
		}
	}
	err := e.insist(ctx, func() error { return e.evict(ctx, o) })
	if o.Counted && err != nil && settled(err) != nil {
		// It goes on. Without an answer to this one, the next scheduler does it.
		return errors.Join(err, settled(e.insist(ctx, func() error { return e.count(ctx, o, true) })))
	}
	return err
}

// Uncounted reports whether a pod goes on without the finalizer by which its
// Job counts how it ends, and is marked as stopped by Weir: a scheduler has died
// before it deleted it. What has ended was counted before it lost it. Pods of
// Jobs that another controller runs never had it, and are not marked and going
// on but for that moment, in which it was not taken from them. Kubernetes withdraws
// such a mark after two minutes.
func Uncounted(p *corev1.Pod) bool {
	owner := metav1.GetControllerOf(p)
	return owner != nil && owner.Kind == "Job" && strings.HasPrefix(owner.APIVersion, batchv1.GroupName+"/") &&
		p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed &&
		marked(p) && !Counted(p)
}

// marked reports whether a pod's condition says that Weir stops it.
func marked(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && strings.HasSuffix(c.Reason, By)
	})
}

// Counted reports whether the Job controller has its finalizer on a pod.
func Counted(p *corev1.Pod) bool { return slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer) }

// Recount lets a pod's Job count how it ends again.
func (e *Evictor) Recount(ctx context.Context, p *corev1.Pod) error {
	o := Order{Namespace: p.Namespace, Name: p.Name, UID: p.UID}
	return settled(e.insist(ctx, func() error { return e.count(ctx, o, true) }))
}

// markPatch says in a pod's condition why it goes.
func markPatch(o Order, now time.Time) ([]byte, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": o.UID},
		"status": map[string]any{"conditions": []corev1.PodCondition{{
			Type:               corev1.DisruptionTarget,
			Status:             corev1.ConditionTrue,
			Reason:             o.Reason,
			Message:            o.Message,
			LastTransitionTime: metav1.NewTime(now),
		}}},
	})
	if err != nil {
		return nil, fmt.Errorf("writing the condition of pod %s/%s: %w", o.Namespace, o.Name, err)
	}
	return patch, nil
}

func (e *Evictor) mark(ctx context.Context, o Order, patch []byte) error {
	e.wrote("pods/status", "patch")
	_, err := e.client.CoreV1().Pods(o.Namespace).Patch(ctx, o.Name,
		types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// count puts the Job controller's finalizer on a pod, or takes it off.
func (e *Evictor) count(ctx context.Context, o Order, on bool) error {
	key := "$deleteFromPrimitiveList/finalizers"
	if on {
		key = "finalizers"
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": o.UID, key: []string{batchv1.JobTrackingFinalizer}}})
	if err != nil {
		return fmt.Errorf("writing the finalizers of pod %s/%s: %w", o.Namespace, o.Name, err)
	}
	e.wrote("pods", "patch")
	_, err = e.client.CoreV1().Pods(o.Namespace).Patch(ctx, o.Name, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{})
	return err
}

func (e *Evictor) delete(ctx context.Context, o Order) error {
	e.wrote("pods", "delete")
	return e.client.CoreV1().Pods(o.Namespace).Delete(ctx, o.Name,
		metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &o.UID}})
}

func (e *Evictor) evict(ctx context.Context, o Order, dry ...string) error {
	e.wrote("pods/eviction", "create")
	return e.client.CoreV1().Pods(o.Namespace).EvictV1(ctx, &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name},
		DeleteOptions: &metav1.DeleteOptions{DryRun: dry, Preconditions: &metav1.Preconditions{UID: &o.UID}},
	})
}

// settled makes nothing of errors that say that the pod is gone already, or
// that its name is another's now.
func settled(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// insist tries a write until the server has answered it.
func (e *Evictor) insist(ctx context.Context, write func() error) error {
	for try := 0; ; try++ {
		err := write()
		switch {
		case err == nil:
			return nil
		case apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause):
			return ErrBudget
		case !again.Worth(err):
			return err
		}
		if err := again.Pause(ctx, e.clock, try, err); err != nil {
			return err
		}
	}
}
