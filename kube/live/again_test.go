package live_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/evict"
)

// To be stopped by Weir is no failure: the Job controller would make a gang
// that gave way wait for up to ten minutes before it makes its pods anew, and
// fail it after six of them.
func TestStoppedPodsAreNoFailuresOfTheirJob(t *testing.T) {
	w := newWorld(t, nodes(1, 8, true)...)
	w.project("ml", "8")
	w.scheduler()
	for name, policy := range map[string]*batchv1.PodReplacementPolicy{
		"usual": nil, "patient": ptr.To(batchv1.Failed),
	} {
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ml"}, Spec: batchv1.JobSpec{
			Parallelism: ptr.To[int32](8), Completions: ptr.To[int32](8), BackoffLimit: ptr.To[int32](3),
			PodReplacementPolicy: policy,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
				Spec: pod("ml", name, 1).Spec}}}
		job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
		job.Annotations = map[string]string{ask.MinPods: "8", ask.Kind: "train"}
		w.submitJob(job)
		w.ready(name, 8)
		for round := range 2 {
			urgent := fmt.Sprintf("%s-urgent-%d", name, round)
			w.submit(pod("ml", urgent, 8, ask.Priority+"=200"))
			w.bound("ml/" + urgent)
			began := time.Now()
			w.remove("ml/" + urgent)
			w.ready(name, 8)
			if took := time.Since(began); took > 9*time.Second { // the first back-off is 10 s
				t.Errorf("%s, round %d: its pods were back after %s", name, round, took)
			}
		}
		now := must(w.kube.BatchV1().Jobs("ml").Get(t.Context(), name, metav1.GetOptions{}))
		if now.Status.Failed != 0 || len(now.Status.Conditions) != 0 {
			t.Errorf("%s: %+v", name, now.Status)
		}
		background := metav1.DeletePropagationBackground
		if err := w.kube.BatchV1().Jobs("ml").Delete(t.Context(), name,
			metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
			t.Fatal(err)
		}
	}
}

// A scheduler that died while it stopped a pod leaves one that its Job does
// not count; the next one mends that.
func TestPodsThatGoOnAreCountedAgain(t *testing.T) {
	w := newWorld(t, nodes(1, 8, true)...)
	w.project("ml", "8")
	_, stop := w.scheduler()
	id := w.job("left")
	stop()
	_, name, _ := strings.Cut(id, "/")
	if _, err := w.kube.CoreV1().Pods("ml").Patch(t.Context(), name, types.JSONPatchType,
		[]byte(`[{"op": "remove", "path": "/metadata/finalizers"}]`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf(`{"status":{"conditions":[{"type":"DisruptionTarget","status":"True","reason":"Reclaimed%s",
		"lastTransitionTime":%q}]}}`, evict.By, time.Now().UTC().Format(time.RFC3339))
	if _, err := w.kube.CoreV1().Pods("ml").Patch(t.Context(), name, types.StrategicMergePatchType,
		[]byte(mark), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	if !evict.Uncounted(w.get(id)) {
		t.Fatal("its Job counts it still")
	}
	w.scheduler()
	w.eventually("its Job counts it", func() error {
		if p := w.get(id); !evict.Counted(p) {
			return fmt.Errorf("finalizers %q, conditions %+v", p.Finalizers, p.Status.Conditions)
		}
		return nil
	})
}

// ready waits until so many pods of a Job run.
func (w *world) ready(job string, n int) {
	w.Helper()
	w.eventually(fmt.Sprintf("%d pods of %s run", n, job), func() error {
		list := must(w.kube.CoreV1().Pods("ml").List(w.Context(), metav1.ListOptions{LabelSelector: "app=" + job}))
		run := 0
		for i := range list.Items {
			if p := &list.Items[i]; p.DeletionTimestamp == nil && p.Status.Phase == corev1.PodRunning {
				run++
			}
		}
		if run != n {
			return fmt.Errorf("%d of %d", run, len(list.Items))
		}
		return nil
	})
}
