package workload

import (
	"fmt"

	"github.com/google/cel-go/common/types/ref"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// maxPods bounds how many pods one object is expanded into.
const maxPods = 100_000

// Expand returns the pods that the controller of an object will make, in
// order: those of each gang, and in it those of each set of the rule.
//
// An object that is one gang of one template has the pods NAME-0, NAME-1 and
// so on; else the gang, the set and the place in the set's list stand between.
func (r *Rule) Expand(obj map[string]any) ([]*corev1.Pod, error) {
	owner := &unstructured.Unstructured{Object: obj}
	groups, err := r.countGroups(obj)
	if err != nil {
		return nil, err
	}
	var pods []*corev1.Pod
	for _, group := range groups {
		for _, s := range r.sets {
			more, err := r.expandSet(owner, group, s, maxPods-len(pods))
			if err != nil {
				return nil, err
			}
			pods = append(pods, more...)
		}
	}
	return pods, nil
}

// countGroups returns the names of the object's gangs.
func (r *Rule) countGroups(obj map[string]any) ([]string, error) {
	if r.groups.program == nil {
		return []string{""}, nil
	}
	n, err := r.groups.number(map[string]any{"object": obj})
	if err != nil {
		return nil, err
	}
	if n > maxPods {
		return nil, r.groups.fail("gives %d gangs; at most %d can be planned", n, maxPods)
	}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint(i))
	}
	return names, nil
}

func (r *Rule) expandSet(owner *unstructured.Unstructured, group string, s podSet, room int) ([]*corev1.Pod, error) {
	vars := map[string]any{"object": owner.Object}
	counts, err := s.counts(vars)
	if err != nil {
		return nil, err
	}
	templates, err := s.template.several(vars)
	if err != nil {
		return nil, err
	}
	if len(counts) != len(templates) {
		return nil, s.count.fail("gives %d numbers for %d templates; it has to give one for each",
			len(counts), len(templates))
	}
	var pods []*corev1.Pod
	for i, t := range templates {
		template, err := r.podTemplate(owner, s, t)
		if err != nil {
			return nil, err
		}
		prefix := r.prefix(owner.GetName(), group, s, i, len(templates))
		for j := range counts[i] {
			if len(pods) == room {
				return nil, s.count.fail("makes more than %d pods of one object, which cannot be planned", maxPods)
			}
			pod := r.pod(owner, group, template.DeepCopy())
			pod.Name = fmt.Sprintf("%s-%d", prefix, j)
			pods = append(pods, pod)
		}
	}
	return pods, nil
}

// prefix begins the names of the pods of the i-th of n templates of a set.
func (r *Rule) prefix(name, group string, s podSet, i, n int) string {
	if group != "" {
		name += "-" + group
	}
	if len(r.sets) > 1 || n > 1 {
		name += "-" + s.name
	}
	if n > 1 {
		name += fmt.Sprintf("-%d", i)
	}
	return name
}

// podTemplate reads what a rule found to be a template.
func (r *Rule) podTemplate(owner *unstructured.Unstructured, s podSet, found ref.Val) (*corev1.PodTemplateSpec, error) {
	template, err := s.template.asObject(found)
	if err != nil {
		return nil, err
	}
	t := &corev1.PodTemplateSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, t); err != nil {
		return nil, s.template.fail("of %s %s/%s is no pod template: %v",
			r.GVK.Kind, owner.GetNamespace(), owner.GetName(), err)
	}
	return t, nil
}

// pod makes a pod of a template, which it takes, that the owner controls.
func (r *Rule) pod(owner *unstructured.Unstructured, group string, t *corev1.PodTemplateSpec) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
	pod.Namespace = owner.GetNamespace()
	pod.CreationTimestamp = owner.GetCreationTimestamp()
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, r.GVK)}
	if group != "" {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, GroupAnnotation, group)
	}
	return pod
}
