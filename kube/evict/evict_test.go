package evict_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clientgotesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"

	"github.com/weir-gpu/weir/kube/evict"
)

var pods = schema.GroupResource{Resource: "pods"}

type hurried struct{ clock.RealClock }

func (hurried) After(time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	c <- time.Time{}
	return c
}

func TestEvict(t *testing.T) {
	spent := apierrors.NewTooManyRequests("cannot evict", 0)
	spent.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause}}
	lost := errors.New("connection reset by peer")
	const mark, remove, evicted, count = "patch pods/status", "delete pods", "create pods/eviction", "patch pods"
	for name, c := range map[string]struct {
		budgeted bool
		counted  bool
		answers  map[string][]error
		writes   []string
		want     error
	}{
		"a reclaimed pod is told why and deleted": {writes: []string{mark, remove}},
		"a moved pod goes through its budget":     {budgeted: true, writes: []string{evicted}},
		"a spent budget is kept to": {budgeted: true, answers: map[string][]error{evicted: {spent}},
			writes: []string{evicted}, want: evict.ErrBudget},
		"its Job does not count a reclaimed pod": {counted: true, writes: []string{mark, count, remove}},
		"its Job does not count a moved pod":     {budgeted: true, counted: true, writes: []string{evicted, count, evicted}},
		"its Job counts what a budget keeps": {budgeted: true, counted: true, answers: map[string][]error{evicted: {spent}},
			writes: []string{evicted}, want: evict.ErrBudget},
		"its Job counts again what a budget keeps at the last moment": {budgeted: true, counted: true,
			answers: map[string][]error{evicted: {nil, spent}}, writes: []string{evicted, count, evicted, count},
			want: evict.ErrBudget},
		"a pod that is gone needs no more": {answers: map[string][]error{mark: {apierrors.NewNotFound(pods, "p")}},
			writes: []string{mark}},
		"another pod of that name is left alone": {answers: map[string][]error{
			mark: {apierrors.NewConflict(pods, "p", errors.New("uid"))}}, writes: []string{mark}},
		"another pod of that name is left alone, at the last moment": {answers: map[string][]error{
			remove: {apierrors.NewConflict(pods, "p", errors.New("uid"))}}, writes: []string{mark, remove}},
		"lost requests are repeated": {answers: map[string][]error{mark: {lost, lost}, remove: {lost}},
			writes: []string{mark, mark, mark, remove, remove}},
		"a refusal is told": {answers: map[string][]error{remove: {apierrors.NewForbidden(pods, "p", lost)}},
			writes: []string{mark, remove}, want: apierrors.NewForbidden(pods, "p", lost)},
	} {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "p", UID: "1"}}
			if c.counted {
				p.Finalizers = []string{batchv1.JobTrackingFinalizer}
			}
			client := fake.NewClientset(p)
			client.PrependReactor("*", "pods", func(a clientgotesting.Action) (bool, runtime.Object, error) {
				step := a.GetVerb() + " pods"
				if a.GetSubresource() != "" {
					step += "/" + a.GetSubresource()
				}
				if d, ok := a.(clientgotesting.DeleteAction); ok {
					if p := d.GetDeleteOptions().Preconditions; p == nil || p.UID == nil || *p.UID != types.UID("1") {
						t.Error("deleted without naming the UID")
					}
				}
				if answers := c.answers[step]; len(answers) > 0 {
					c.answers[step] = answers[1:]
					return true, nil, answers[0]
				}
				return step == evicted, nil, nil
			})
			var writes []string
			e := evict.New(client, hurried{}, func(resource, verb string) { writes = append(writes, verb+" "+resource) })
			err := e.Evict(t.Context(), evict.Order{Namespace: "ml", Name: "p", UID: "1", Reason: "ReclaimedByWeir",
				Message: "because", Budgeted: c.budgeted, Counted: c.counted})
			if c.want == nil && err != nil || c.want != nil && (err == nil || !errors.Is(err, c.want) && err.Error() != c.want.Error()) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if c.want != nil && c.counted && c.budgeted {
				if p, err := client.CoreV1().Pods("ml").Get(t.Context(), "p", metav1.GetOptions{}); err != nil || !evict.Counted(p) {
					t.Errorf("it goes on and is not counted: %v %v", p, err)
				}
			}
			if !slices.Equal(writes, c.writes) {
				t.Errorf("writes %q, want %q", writes, c.writes)
			}
		})
	}
}

func TestConditionSaysWhy(t *testing.T) {
	client := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "p", UID: "1"}})
	client.PrependReactor("delete", "pods", func(clientgotesting.Action) (bool, runtime.Object, error) {
		return true, nil, nil // it takes its grace period
	})
	e := evict.New(client, hurried{}, func(string, string) {})
	o := evict.Order{Namespace: "ml", Name: "p", UID: "1", Reason: "PreemptedByWeir", Message: "for ml/big"}
	if err := e.Evict(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	pod, err := client.CoreV1().Pods("ml").Get(t.Context(), "p", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c := pod.Status.Conditions; len(c) != 1 || c[0].Type != corev1.DisruptionTarget ||
		c[0].Reason != "PreemptedByWeir" || c[0].Message != "for ml/big" {
		t.Errorf("conditions %+v", c)
	}
}

func TestStopsWithItsContext(t *testing.T) {
	client := fake.NewClientset()
	ctx, cancel := context.WithCancel(t.Context())
	client.PrependReactor("patch", "pods", func(clientgotesting.Action) (bool, runtime.Object, error) {
		cancel()
		return true, nil, errors.New("connection reset by peer")
	})
	e := evict.New(client, clock.RealClock{}, func(string, string) {})
	if err := e.Evict(ctx, evict.Order{Namespace: "ml", Name: "p", UID: "1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}
