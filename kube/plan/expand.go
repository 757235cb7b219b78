package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gpu/weir/kube/workload"
)

// family knows who controls whom.
type family struct {
	rules   *workload.Rules
	objects map[workload.Ref]runtime.Object
	parents map[workload.Ref]bool // those that pods were seen of
}

func refOf(obj runtime.Object) workload.Ref {
	gvk, m := obj.GetObjectKind().GroupVersionKind(), accessor(obj)
	return workload.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: m.GetNamespace(), Name: m.GetName()}
}

func newFamily(objects []runtime.Object, pods []*corev1.Pod, rules *workload.Rules) *family {
	f := &family{rules: rules, objects: map[workload.Ref]runtime.Object{}, parents: map[workload.Ref]bool{}}
	for _, obj := range objects {
		f.objects[refOf(obj)] = obj
	}
	for _, p := range pods {
		ref, ok := workload.ControllerOf(p)
		for steps := 0; ok && steps < 16; steps++ {
			f.parents[ref] = true
			obj := f.objects[ref]
			if obj == nil {
				break
			}
			ref, ok = workload.ControllerOf(accessor(obj))
		}
	}
	return f
}

func (f *family) rule(ref workload.Ref) *workload.Rule {
	return f.rules.For(schema.GroupKind{Group: ref.Group, Kind: ref.Kind})
}

// childless returns the rule of an object whose pods a controller would have
// to make: there is a rule, no pod of it is there, and nothing controls it
// that has a rule itself.
func (f *family) childless(obj runtime.Object) *workload.Rule {
	ref := refOf(obj)
	if _, isPod := obj.(*corev1.Pod); isPod || f.parents[ref] {
		return nil
	}
	if above, ok := workload.ControllerOf(accessor(obj)); ok && f.rule(above) != nil {
		return nil
	}
	return f.rule(ref)
}

// orphans returns a stand-in for each object that pods name as their
// controller and that is not there: in files, owners are often left out.
func (f *family) orphans(pods []*corev1.Pod) (standIns []runtime.Object, notes []string) {
	for _, p := range pods {
		ref, ok := workload.ControllerOf(p)
		if !ok || f.objects[ref] != nil || ended(p) {
			continue
		}
		rule := f.rule(ref)
		if rule == nil {
			continue
		}
		standIn := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
		standIn.SetGroupVersionKind(rule.GVK)
		standIn.SetNamespace(ref.Namespace)
		standIn.SetName(ref.Name)
		if _, err := rule.Facts(standIn.Object); err != nil {
			continue // the rule needs to see it; its pods wait for it
		}
		f.objects[ref] = standIn
		standIns = append(standIns, standIn)
		notes = append(notes, fmt.Sprintf("%s, which pods name as their controller, is not among the objects; "+
			"it is taken as one with nothing in its spec", ref))
	}
	return standIns, notes
}

// expand returns the pods that the controller of an object would make.
func expand(rule *workload.Rule, obj runtime.Object) ([]*corev1.Pod, string, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, "", err
	}
	facts, err := rule.Facts(content)
	if err != nil {
		return nil, "", err
	}
	if facts.Suspended {
		return nil, fmt.Sprintf("%s is suspended: it makes no pods", title(obj)), nil
	}
	pods, err := rule.Expand(content)
	for _, p := range pods {
		p.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	}
	return pods, "", err
}
