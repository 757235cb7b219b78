package snapshot

import (
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/sched"
)

// world is objects as the API server has them: a node with four GPUs, and the
// project vision with three of them in the namespace ml.
func world(more ...runtime.Object) []runtime.Object {
	gpus := resource.MustParse("3")
	return append([]runtime.Object{
		&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{
				"nvidia.com/gpu.product": "NVIDIA-A100", "nvidia.com/gpu.memory": "81559"}},
			Status: corev1.NodeStatus{
				Allocatable: corev1.ResourceList{ask.WholeGPU: resource.MustParse("4"), "cpu": resource.MustParse("64"),
					"memory": resource.MustParse("512Gi"), "pods": resource.MustParse("110")},
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			},
		},
		&v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: "vision"}, Spec: v1alpha1.ProjectSpec{
			Namespaces: []string{"ml"},
			Pools:      []v1alpha1.PoolShare{{Name: "default", Quota: v1alpha1.Amount{GPU: &gpus}}},
		}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}},
	}, more...)
}

// job is a Job with its pods, which have phase and node when they are placed.
func job(t *testing.T, name string, pods int, gpus, node string, words map[string]string) []runtime.Object {
	t.Helper()
	template := corev1.PodSpec{SchedulerName: ask.SchedulerName, Containers: []corev1.Container{{Name: "main", Image: "i",
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{ask.WholeGPU: resource.MustParse(gpus)},
			Requests: corev1.ResourceList{ask.WholeGPU: resource.MustParse(gpus)}}}}}
	j := &batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, CreationTimestamp: metav1.NewTime(now)},
		Spec: batchv1.JobSpec{Parallelism: new(int32(pods)), Completions: new(int32(pods)),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: words}, Spec: template}}}
	objects := []runtime.Object{plain(t, j)}
	for i := range pods {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: fmt.Sprintf("%s-%d", name, i), Annotations: words,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: name, Controller: new(true)}}},
			Spec: template}
		if node != "" {
			p.Spec.NodeName, p.Status.Phase = node, corev1.PodRunning
		}
		objects = append(objects, p)
	}
	return objects
}

func plain(t *testing.T, obj runtime.Object) *unstructured.Unstructured {
	t.Helper()
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: m}
}

func look(t *testing.T, objects ...runtime.Object) *View {
	t.Helper()
	v := FromObjects(now, world(objects...), state.Config{}, sched.Config{})
	for i := range v.Workloads {
		v.Fill(&v.Workloads[i])
	}
	return v
}

func only(t *testing.T, v *View, id string) Workload {
	t.Helper()
	for _, w := range v.Workloads {
		if w.ID == id {
			return w
		}
	}
	t.Fatalf("there is no %s in %+v", id, v.Workloads)
	return Workload{}
}

func TestWhatRunsAndWhatWaits(t *testing.T) {
	v := look(t, append(job(t, "runs", 2, "1", "n1", nil), job(t, "waits", 1, "4", "", nil)...)...)
	if w := only(t, v, "ml/job/runs"); w.Status != Running || w.Project != "vision" || len(w.Pods) != 2 {
		t.Errorf("runs: %+v", w)
	}
	w := only(t, v, "ml/job/waits")
	if w.Status != Waiting || w.Reason != sched.ReasonNoDevices && w.Reason != sched.ReasonOverQuota {
		t.Errorf("waits: %s %s: %s", w.Status, w.Reason, w.Message)
	}
	if p := v.Pools[0]; p.Granted != GPUs(2*sched.GPU) || p.Free != 2 {
		t.Errorf("pool: %+v", p)
	}
	if o := v.Owners[0]; o.Name != "vision" || o.Pools[0].Granted.GPU != 2*sched.GPU {
		t.Errorf("owner: %+v", o)
	}
}

func TestWhatStartsNextIsQueued(t *testing.T) {
	v := look(t, job(t, "next", 1, "1", "", nil)...)
	if w := only(t, v, "ml/job/next"); w.Reason != sched.ReasonQueued || !strings.Contains(w.Message, "room") {
		t.Errorf("next: %s %s: %s", w.Status, w.Reason, w.Message)
	}
}

func TestAlikeIsExplainedOnce(t *testing.T) {
	var objects []runtime.Object
	for i := range 20 {
		objects = append(objects, job(t, fmt.Sprintf("wait-%d", i), 1, fmt.Sprint(3+i%2), "", nil)...)
	}
	objects = append(objects, job(t, "runs", 1, "2", "n1", nil)...)
	v := FromObjects(now, world(objects...), state.Config{}, sched.Config{})
	asked, explain := 0, v.Explain
	v.Explain = func(id string) (sched.Explanation, bool) {
		asked++
		return explain(id)
	}
	for i := range v.Workloads {
		w := &v.Workloads[i]
		v.Fill(w)
		if w.Status != Waiting {
			continue
		}
		ex, _ := explain(w.ID)
		if w.Reason != ex.Reason || w.Message != ex.Message || w.Position != ex.Position {
			t.Errorf("%s: %s %q at %d, but on its own %s %q at %d", w.ID, w.Reason, w.Message, w.Position,
				ex.Reason, ex.Message, ex.Position)
		}
	}
	if asked != 2 {
		t.Errorf("the engine was asked %d times for 2 kinds of workloads", asked)
	}
}

func TestWrongWordsAreTold(t *testing.T) {
	v := look(t, job(t, "odd", 1, "1", "", map[string]string{ask.Priority: "very"})...)
	w := only(t, v, "ml/job/odd")
	if w.Status != Waiting || w.Reason != ReasonInvalid || !strings.Contains(w.Message, ask.Priority) {
		t.Errorf("odd: %s %s: %s", w.Status, w.Reason, w.Message)
	}
}

func TestEndedAndSuspendedJobsAreListed(t *testing.T) {
	ended := job(t, "ended", 0, "1", "", nil)[0].(*unstructured.Unstructured)
	ended.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Complete", "status": "True"}}}
	aside := job(t, "aside", 0, "1", "", nil)[0].(*unstructured.Unstructured)
	if err := unstructured.SetNestedField(aside.Object, true, "spec", "suspend"); err != nil {
		t.Fatal(err)
	}
	done := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "shell"},
		Spec: corev1.PodSpec{SchedulerName: ask.SchedulerName}, Status: corev1.PodStatus{Phase: corev1.PodFailed}}
	elsewhere := done.DeepCopy()
	elsewhere.Namespace = "nobodys"
	v := look(t, ended, aside, done, elsewhere)
	for id, want := range map[string]Status{
		"ml/job/ended": Succeeded, "ml/job/aside": Suspended, "ml/pod/shell": Failed,
	} {
		if w := only(t, v, id); w.Status != want || w.Priority == 0 {
			t.Errorf("%s is %s, want %s", id, w.Status, want)
		}
	}
	if len(v.Workloads) != 3 {
		t.Errorf("%d workloads, want 3: %+v", len(v.Workloads), v.Workloads)
	}
}
