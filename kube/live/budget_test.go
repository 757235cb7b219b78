package live_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// afterwards is for what has to be removed when a test's own context has ended.
var afterwards = context.Background()

// budget lets at least one pod of the label run, and waits until it says so.
func (w *world) budget(namespace, app string) (drop func()) {
	w.Helper()
	one := intstr.FromInt32(1)
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &one,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
	}
	budgets := w.kube.PolicyV1().PodDisruptionBudgets(namespace)
	if _, err := budgets.Create(w.Context(), b, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	drop = func() { _ = budgets.Delete(afterwards, app, metav1.DeleteOptions{}) }
	w.Cleanup(drop)
	w.eventually("the budget counts its pod", func() error {
		now := must(budgets.Get(w.Context(), app, metav1.GetOptions{}))
		if now.Status.CurrentHealthy != 1 || now.Status.DisruptionsAllowed != 0 {
			return fmt.Errorf("it says %+v", now.Status)
		}
		return nil
	})
	return drop
}

// job makes a Job of one pod, and returns its pod's ID once it runs.
func (w *world) job(name string) string {
	w.Helper()
	p := pod("ml", name, 1)
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}}, Spec: p.Spec}}}
	if _, err := w.kube.BatchV1().Jobs("ml").Create(w.Context(), j, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		background := metav1.DeletePropagationBackground
		_ = w.kube.BatchV1().Jobs("ml").Delete(afterwards, name, metav1.DeleteOptions{PropagationPolicy: &background})
	})
	return w.podOf(name)
}

// podOf returns the pod of a Job that runs.
func (w *world) podOf(job string) (id string) {
	w.Helper()
	w.eventually("a pod of "+job+" runs", func() error {
		list := must(w.kube.CoreV1().Pods("ml").List(w.Context(), metav1.ListOptions{LabelSelector: "app=" + job}))
		for i := range list.Items {
			if p := &list.Items[i]; p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
				id = "ml/" + p.Name
				return nil
			}
		}
		return fmt.Errorf("there are %d", len(list.Items))
	})
	return id
}

// Budgets are asked before a pod is moved to make room.
func TestBudgetsHoldForMoves(t *testing.T) {
	w := newWorld(t, nodes(2, 2, true)...)
	w.project("ml", "4")
	w.scheduler()
	// Two Jobs of one pod each end up on different nodes: what lay between
	// them is gone by then.
	first := w.job("first")
	w.submit(pod("ml", "filler", 1))
	w.bound("ml/filler")
	second := w.job("second")
	w.remove("ml/filler")
	w.gone("ml/filler")
	if a, b := w.get(first).Spec.NodeName, w.get(second).Spec.NodeName; a == b {
		t.Fatalf("both are on %s", a)
	}
	dropFirst := w.budget("ml", "first")
	w.budget("ml", "second")
	time.Sleep(beat)
	w.submit(pod("ml", "wide", 2, ask.Priority+"=50")) // no higher than theirs: it may not preempt
	w.waits("ml/wide", string(sched.ReasonNoDevices))
	time.Sleep(2 * beat)
	if !w.exists(first) || !w.exists(second) || w.get("ml/wide").Spec.NodeName != "" {
		t.Error("a pod was moved that its budget keeps")
	}

	dropFirst()
	w.bound("ml/wide")
	if w.exists(first) || !w.exists(second) {
		t.Errorf("first is there: %v, second: %v; and only first may be moved", w.exists(first), w.exists(second))
	}
	if again := w.podOf("first"); w.get(again).Spec.NodeName != w.get(second).Spec.NodeName {
		t.Errorf("%s moved to %s, which is no room made", again, w.get(again).Spec.NodeName)
	}
	w.noOverGrant()
}

// Quotas are stronger than budgets: what is lent comes back in any case.
func TestBudgetsDoNotHoldForReclaim(t *testing.T) {
	w := newWorld(t, nodes(1, 1, true)...)
	w.project("owner", "1")
	w.project("borrower", "0")
	w.scheduler()
	p := pod("borrower", "b", 1, ask.Preemptible+"=true")
	p.Labels = map[string]string{"app": "precious"}
	w.submit(p)
	w.bound("borrower/b")
	w.budget("borrower", "precious")
	w.submit(pod("owner", "o", 1))
	w.bound("owner/o")
	w.event("borrower/b", "Reclaimed", "Stopped by Weir: it ran on borrowed GPUs, to which project owner has the "+
		"better right, for owner/o. Nothing recreates a bare pod: submit it again, or run it as a Job.")
}
