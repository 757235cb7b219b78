package state

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/weir-gpu/weir/kube/workload"
)

// root is an object that owns pods, itself or through others. It may be known
// by name only, from those that it owns.
type root struct {
	obj      metav1.Object // nil: not seen
	above    workload.Ref  // what controls it; the zero Ref for nothing
	children map[workload.Ref]struct{}
	pods     set[string] // controlled by it directly, or naming it
	groups   set[string] // workloads it is the root of

	stale bool // facts have to be read
	facts workload.Facts
	err   error
}

func (s *State) root(ref workload.Ref) *root {
	r := s.roots[ref]
	if r == nil {
		r = &root{children: map[workload.Ref]struct{}{}, pods: set[string]{}, groups: set[string]{}}
		s.roots[ref] = r
	}
	return r
}

// forget drops a root that nothing refers to.
func (s *State) forget(ref workload.Ref) {
	r := s.roots[ref]
	if r != nil && r.obj == nil && len(r.children)+len(r.pods)+len(r.groups) == 0 {
		delete(s.roots, ref)
	}
}

// refOf names an object. ok is false for objects of types nobody knows.
func refOf(obj metav1.Object) (ref workload.Ref, ok bool) {
	o, isObject := obj.(runtime.Object)
	if !isObject {
		return workload.Ref{}, false
	}
	gvk := o.GetObjectKind().GroupVersionKind()
	if gvk.Kind == "" { // typed objects from informers do not say
		kinds, _, err := scheme.Scheme.ObjectKinds(o)
		if err != nil {
			return workload.Ref{}, false
		}
		gvk = kinds[0]
	}
	return workload.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}, true
}

func (s *State) setRoot(obj metav1.Object) {
	ref, ok := refOf(obj)
	if !ok {
		return
	}
	r := s.root(ref)
	above, _ := workload.ControllerOf(obj)
	if r.obj == nil || above != r.above {
		s.hang(ref, r, above)
		s.touchPodsUnder(ref)
	}
	r.obj, r.stale = obj, true
	for id := range r.groups {
		s.dirty.groups.add(id)
	}
}

func (s *State) dropRoot(obj metav1.Object) {
	ref, ok := refOf(obj)
	if !ok || s.roots[ref] == nil {
		return
	}
	r := s.roots[ref]
	s.touchPodsUnder(ref)
	s.hang(ref, r, workload.Ref{})
	r.obj, r.facts, r.err = nil, workload.Facts{}, nil
	s.failed(ref, nil)
	for id := range r.groups {
		s.dirty.groups.add(id)
	}
	s.report(ref.Kind, ref.Namespace+"/"+ref.Name, nil)
	s.forget(ref)
}

// hang notes what controls a root.
func (s *State) hang(ref workload.Ref, r *root, above workload.Ref) {
	if old := r.above; old != (workload.Ref{}) {
		delete(s.root(old).children, ref)
		s.forget(old)
	}
	r.above = above
	if above != (workload.Ref{}) {
		s.root(above).children[ref] = struct{}{}
		s.lookUpPod(above)
	}
}

// lookUpPod makes a root of a pod that is known already, where other objects
// turn out to belong to it. Few pods are roots, so the others are none.
func (s *State) lookUpPod(ref workload.Ref) {
	if ref.Group != workload.PodKind.Group || ref.Kind != workload.PodKind.Kind || s.roots[ref].obj != nil {
		return
	}
	if p := s.pods[ref.Namespace+"/"+ref.Name]; p != nil && !p.deleted {
		s.setRoot(p.obj)
	}
}

func podRef(p *corev1.Pod) workload.Ref {
	return workload.Ref{Kind: workload.PodKind.Kind, Namespace: p.Namespace, Name: p.Name}
}

// touchPodsUnder marks the pods whose root may have become another.
func (s *State) touchPodsUnder(ref workload.Ref) {
	seen := map[workload.Ref]bool{}
	var visit func(workload.Ref)
	visit = func(ref workload.Ref) {
		r := s.roots[ref]
		if r == nil || seen[ref] {
			return
		}
		seen[ref] = true
		for id := range r.pods {
			s.dirty.pods.add(id)
		}
		for child := range r.children {
			visit(child)
		}
	}
	visit(ref)
}

// first returns the object that a pod says it belongs to, by its labels or by
// its controller. It is the zero Ref for pods that belong to nothing of which
// there is a rule.
func (s *State) first(pod *corev1.Pod) workload.Ref {
	if ref, ok := s.rules.Named(pod); ok {
		return ref
	}
	ref, ok := workload.ControllerOf(pod)
	if !ok || s.ruleFor(ref) == nil {
		return workload.Ref{}
	}
	return ref
}

// climb returns the root of a pod whose first object is ref: the highest that
// there is a rule for. seen is false when that object is not known yet.
func (s *State) climb(ref workload.Ref) (top workload.Ref, seen bool) {
	for range 16 { // no real chain is longer, and a circle ends
		r := s.roots[ref]
		if r == nil || r.obj == nil {
			return ref, false
		}
		if s.ruleFor(r.above) == nil {
			return ref, true
		}
		ref = r.above
	}
	return ref, true
}

func (s *State) ruleFor(ref workload.Ref) *workload.Rule {
	if ref == (workload.Ref{}) {
		return nil
	}
	return s.rules.For(schema.GroupKind{Group: ref.Group, Kind: ref.Kind})
}

// factsOf reads what the rule says of a root.
func (s *State) factsOf(ref workload.Ref, r *root) (workload.Facts, error) {
	if !r.stale {
		return r.facts, r.err
	}
	r.stale = false
	r.facts, r.err = workload.Facts{Min: 1}, nil
	rule := s.ruleFor(ref)
	if rule == nil {
		return r.facts, nil
	}
	content, err := contentOf(r.obj)
	if err == nil {
		r.facts, err = rule.Facts(content)
	}
	if err != nil {
		r.err = fmt.Errorf("%s: %w", ref, err)
	}
	s.failed(ref, r.err)
	return r.facts, r.err
}

// contentOf returns an object as it is written in JSON.
func contentOf(obj metav1.Object) (map[string]any, error) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return u.Object, nil
	}
	return runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
}

func (s *State) setClass(name string, value int32, exists bool) {
	if exists {
		s.classes[name] = value
	} else {
		delete(s.classes, name)
	}
	for id := range s.byClass[name] {
		s.dirty.groups.add(id)
	}
}
