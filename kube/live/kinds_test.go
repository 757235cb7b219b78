package live_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/sched"
)

// The kinds are other projects' own, read from their Go modules. Their
// controllers do not run: the tests make what those would.
var (
	jobSets = schema.GroupVersionResource{Group: "jobset.x-k8s.io", Version: "v1alpha2", Resource: "jobsets"}
	lwSets  = schema.GroupVersionResource{Group: "leaderworkerset.x-k8s.io", Version: "v1", Resource: "leaderworkersets"}
)

// teach installs the definition of a kind from a file of a module.
func (w *world) teach(resource schema.GroupVersionResource, module, file string) dynamic.ResourceInterface {
	w.Helper()
	download := exec.CommandContext(w.Context(), "go", "mod", "download", "-json", module)
	download.Dir = w.TempDir() // outside of any module: it is no dependency
	out, err := download.Output()
	var got struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil || got.Error != "" || got.Dir == "" {
		w.Skipf("%s cannot be downloaded: %v %v %s", module, err, jsonErr, got.Error)
	}
	text, err := os.ReadFile(filepath.Join(got.Dir, filepath.FromSlash(file)))
	if err != nil {
		w.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(text, crd); err != nil {
		w.Fatal(err)
	}
	crd.Spec.Conversion = nil // its webhook is not here
	crds := must(apiextensions.NewForConfig(w.cfg)).ApiextensionsV1().CustomResourceDefinitions()
	if _, err := crds.Create(w.Context(), crd, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = crds.Delete(afterwards, crd.Name, metav1.DeleteOptions{}) })
	client := must(dynamic.NewForConfig(w.cfg)).Resource(resource).Namespace("ml")
	w.eventually("the API server serves "+resource.Resource, func() error {
		_, err := client.List(w.Context(), metav1.ListOptions{})
		return err
	})
	return client
}

// made creates an object of a kind that was taught, from text.
func (w *world) made(client dynamic.ResourceInterface, text string) *unstructured.Unstructured {
	w.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		w.Fatal(err)
	}
	created, err := client.Create(w.Context(), obj, metav1.CreateOptions{})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = client.Delete(afterwards, created.GetName(), metav1.DeleteOptions{}) })
	return created
}

func controlledBy(o metav1.Object, gvk schema.GroupVersionKind) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(o, gvk)}
}

// placed counts the pods that are bound.
func (w *world) placed() (bound, all int) {
	w.Helper()
	pods := must(w.kube.CoreV1().Pods("ml").List(w.Context(), metav1.ListOptions{})).Items
	for i := range pods {
		if pods[i].Spec.NodeName != "" {
			bound++
		}
	}
	return bound, len(pods)
}

// A JobSet is one gang of all its Jobs, and is put aside by its own field.
func TestRealJobSet(t *testing.T) {
	w := newWorld(t, nodes(1, 8, true)...)
	client := w.teach(jobSets, "sigs.k8s.io/jobset@v0.11.0", "config/components/crd/bases/jobset.x-k8s.io_jobsets.yaml")
	w.project("ml", "8")
	const template = `{spec: {template: {spec: {containers: [{name: main, image: train}]}}, parallelism: 2}}`
	set := w.made(client, `
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {name: llm}
spec:
  suspend: true
  replicatedJobs:
  - {name: driver, replicas: 1, template: `+template+`}
  - {name: worker, replicas: 2, template: `+template+`}`)
	if err := w.fleet.FailGPUs(t.Context(), "sim-0", 4); err != nil {
		t.Fatal(err)
	}
	w.scheduler()
	for _, name := range []string{"llm-driver-0", "llm-worker-0", "llm-worker-1"} {
		w.jobOf(set, name)
	}
	w.eventually("the pods of the Jobs wait", func() error {
		if _, all := w.placed(); all != 6 {
			return fmt.Errorf("there are %d", all)
		}
		return nil
	})
	w.waits(w.anyPod(), string(sched.ReasonSuspended))

	resume := []byte(`{"spec":{"suspend":false}}`)
	if _, err := client.Patch(t.Context(), "llm", types.MergePatchType, resume, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.waits(w.anyPod(), string(sched.ReasonTooLarge)) // four GPUs for a gang of six
	if bound, _ := w.placed(); bound != 0 {
		t.Errorf("%d pods of a gang of six are bound to four GPUs", bound)
	}
	if err := w.fleet.FailGPUs(t.Context(), "sim-0", 0); err != nil {
		t.Fatal(err)
	}
	w.eventually("the gang is bound", func() error {
		if bound, _ := w.placed(); bound != 6 {
			return fmt.Errorf("%d are bound", bound)
		}
		return nil
	})
}

// jobOf makes a Job of two pods, as a JobSet's controller does.
func (w *world) jobOf(set *unstructured.Unstructured, name string) {
	w.Helper()
	p := pod("ml", name, 1)
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: controlledBy(set, set.GroupVersionKind())},
		Spec: batchv1.JobSpec{Parallelism: ptr.To[int32](2), Completions: ptr.To[int32](2),
			Template: corev1.PodTemplateSpec{Spec: p.Spec}},
	}
	if _, err := w.kube.BatchV1().Jobs("ml").Create(w.Context(), j, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		background := metav1.DeletePropagationBackground
		_ = w.kube.BatchV1().Jobs("ml").Delete(afterwards, name, metav1.DeleteOptions{PropagationPolicy: &background})
	})
}

func (w *world) anyPod() string {
	w.Helper()
	return "ml/" + must(w.kube.CoreV1().Pods("ml").List(w.Context(), metav1.ListOptions{})).Items[0].Name
}

// A LeaderWorkerSet is as many gangs as it has replicas. Its workers belong to
// a StatefulSet that belongs to their leader, which is a pod.
func TestRealLeaderWorkerSet(t *testing.T) {
	w := newWorld(t, nodes(1, 8, true)...)
	client := w.teach(lwSets, "sigs.k8s.io/lws@v0.7.0",
		"config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml")
	w.project("ml", "8")
	set := w.made(client, `
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {name: serve}
spec:
  replicas: 2
  leaderWorkerTemplate: {size: 3, workerTemplate: {spec: {containers: [{name: main, image: serve}]}}}`)
	if err := w.fleet.FailGPUs(t.Context(), "sim-0", 4); err != nil {
		t.Fatal(err)
	}
	const index = "leaderworkerset.sigs.k8s.io/group-index"
	w.statefulSet("serve", controlledBy(set, set.GroupVersionKind()), nil)
	for group := range 2 {
		name := fmt.Sprintf("serve-%d", group)
		w.eventually(name+" is there", func() error {
			_, err := w.kube.CoreV1().Pods("ml").Get(t.Context(), name, metav1.GetOptions{})
			return err
		})
		label := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"%d"}}}`, index, group) // by a webhook, in life
		leader, err := w.kube.CoreV1().Pods("ml").Patch(t.Context(), name, types.MergePatchType, label, metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.statefulSet(name, controlledBy(leader, corev1.SchemeGroupVersion.WithKind("Pod")),
			map[string]string{index: strconv.Itoa(group)})
	}
	w.eventually("all six pods are there", func() error {
		if _, all := w.placed(); all != 6 {
			return fmt.Errorf("there are %d", all)
		}
		return nil
	})
	w.scheduler()
	w.eventually("one of two gangs of three is bound to four GPUs", func() error {
		if bound, _ := w.placed(); bound != 3 {
			return fmt.Errorf("%d pods are bound", bound)
		}
		return nil
	})
	time.Sleep(2 * beat)
	if bound, _ := w.placed(); bound != 3 {
		t.Errorf("%d pods are bound, want one gang of three", bound)
	}
	if err := w.fleet.FailGPUs(t.Context(), "sim-0", 0); err != nil {
		t.Fatal(err)
	}
	w.eventually("both gangs are bound", func() error {
		if bound, _ := w.placed(); bound != 6 {
			return fmt.Errorf("%d are bound", bound)
		}
		return nil
	})
}

// statefulSet makes two pods at once, as a LeaderWorkerSet's controller lets it.
func (w *world) statefulSet(name string, owner []metav1.OwnerReference, labels map[string]string) {
	w.Helper()
	all := map[string]string{"set": name}
	for k, v := range labels {
		all[k] = v
	}
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owner},
		Spec: appsv1.StatefulSetSpec{
			Replicas:            ptr.To[int32](2),
			PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector:            &metav1.LabelSelector{MatchLabels: map[string]string{"set": name}},
			Template:            corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: all}, Spec: pod("ml", name, 1).Spec},
		},
	}
	if _, err := w.kube.AppsV1().StatefulSets("ml").Create(w.Context(), s, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		background := metav1.DeletePropagationBackground
		_ = w.kube.AppsV1().StatefulSets("ml").Delete(afterwards, name, metav1.DeleteOptions{PropagationPolicy: &background})
	})
}
