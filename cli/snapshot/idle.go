package snapshot

import (
	"cmp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// addIdle adds the workloads that have no pods to schedule: those that have
// ended, and those that are suspended or have not made their pods yet. They
// are known by their objects alone.
func (v *View) addIdle(objects []runtime.Object, st *state.State) {
	known := map[string]bool{}
	for _, w := range v.Workloads {
		known[w.ID] = true
		for id := w.ID; strings.Count(id, "/") > 2; { // gangs of one object know the object
			id = id[:strings.LastIndexByte(id, '/')]
			known[id] = true
		}
	}
	for _, obj := range objects {
		if w, ok := idle(obj, st); ok && !known[w.ID] {
			v.Workloads = append(v.Workloads, w)
		}
	}
}

// idle reads a workload off its object. ok is false for objects that are no
// workloads, belong to another one, or belong to no project.
func idle(obj runtime.Object, st *state.State) (w Workload, ok bool) {
	o, isObject := obj.(metav1.Object)
	if !isObject || metav1.GetControllerOfNoCopy(o) != nil {
		return Workload{}, false
	}
	words, _ := ask.ReadWords(o) // wrong ones are told where its pods are
	w = Workload{
		Namespace: o.GetNamespace(), Name: o.GetName(), Kind: words.Kind, Project: words.Project,
		NodePools: words.Pools, Min: 1, Submitted: o.GetCreationTimestamp().UTC(),
	}
	switch o := obj.(type) {
	case *corev1.Pod:
		w.Status, ok = endOfPod(o)
		w.Object, w.Kind = "pod", cmp.Or(w.Kind, sched.Build)
	case *unstructured.Unstructured:
		w.Status, ok = endOfJob(o)
		w.Object, w.Kind = strings.ToLower(o.GetKind()), cmp.Or(w.Kind, sched.Train)
	}
	w.Priority, w.Preemptible = state.KindPriority(w.Kind), w.Kind == sched.Train
	if words.Priority != nil {
		w.Priority = *words.Priority
	}
	if words.Preemptible != nil {
		w.Preemptible = *words.Preemptible
	}
	if w.Project == "" {
		w.Project = st.ProjectOf(w.Namespace)
	}
	w.ID = workload.Ref{Kind: w.Object, Namespace: w.Namespace, Name: w.Name}.ID("")
	return w, ok && w.Project != ""
}

func endOfPod(p *corev1.Pod) (Status, bool) {
	switch p.Status.Phase {
	case corev1.PodSucceeded:
		return Succeeded, true
	case corev1.PodFailed:
		return Failed, true
	}
	return "", false
}

// endOfJob reads the state of anything that ends like a Job: by conditions,
// and with a field to suspend it.
func endOfJob(o *unstructured.Unstructured) (Status, bool) {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		if m["status"] != "True" {
			continue
		}
		switch m["type"] {
		case "Complete", "Completed":
			return Succeeded, true
		case "Failed":
			return Failed, true
		}
	}
	suspended, _, _ := unstructured.NestedBool(o.Object, "spec", "suspend")
	return Suspended, suspended
}
