// Package target finds the Kubernetes object that a workload's name means, and
// the pods that belong to it, ended ones too.
//
// It follows controllers upwards from the pods of one namespace, so that it
// works for any kind of owner. It needs no rights beyond that namespace and
// does not ask the decision engine.
package target

import (
	"cmp"
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
)

// Object is an object at the top of a chain of controllers.
type Object struct {
	GVK       schema.GroupVersionKind
	Namespace string
	Name      string
	Pods      []corev1.Pod // in order of name
}

// ID is the name of the workload: "namespace/kind/name".
func (o Object) ID() string { return o.Namespace + "/" + strings.ToLower(o.GVK.Kind) + "/" + o.Name }

// ref is an object by kind and name.
type ref struct {
	gvk  schema.GroupVersionKind
	name string
}

// Index is what owns what in one namespace.
type Index struct {
	namespace string
	above     map[ref]ref // the controller of each object that has one
	objects   map[ref]bool
	pods      []corev1.Pod
}

// Read lists the pods of a namespace and the objects that make pods.
func Read(ctx context.Context, c kubernetes.Interface, namespace string) (*Index, error) {
	x := &Index{namespace: namespace, above: map[ref]ref{}, objects: map[ref]bool{}}
	pods, err := c.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	x.pods = pods.Items
	for i := range pods.Items {
		x.add(corev1.SchemeGroupVersion.WithKind("Pod"), &pods.Items[i])
	}
	for _, read := range []func(context.Context, kubernetes.Interface) error{
		x.readJobs, x.readCronJobs, x.readReplicaSets, x.readDeployments, x.readStatefulSets,
	} {
		if err := read(ctx, c); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(x.pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return x, nil
}

func (x *Index) add(gvk schema.GroupVersionKind, o metav1.Object) {
	self := ref{gvk, o.GetName()}
	x.objects[self] = true
	if c := metav1.GetControllerOfNoCopy(o); c != nil {
		x.above[self] = ref{schema.FromAPIVersionAndKind(c.APIVersion, c.Kind), c.Name}
	}
}

// top follows the controllers of an object upwards.
func (x *Index) top(r ref) ref {
	for range 10 { // no chain is that long; a cycle would be
		above, ok := x.above[r]
		if !ok {
			return r
		}
		r = above
	}
	return r
}

// Find returns the objects that a name means, of a kind (lower case) if one is
// given. A pod that a controller made means what is at the top of its chain.
func (x *Index) Find(kind, name string) []Object {
	var found []ref
	add := func(r ref) {
		if !slices.Contains(found, r) {
			found = append(found, r)
		}
	}
	for _, r := range x.tops() {
		if r.name == name && (kind == "" || strings.ToLower(r.gvk.Kind) == kind) {
			add(r)
		}
	}
	if len(found) == 0 && (kind == "" || kind == "pod") {
		for i := range x.pods {
			if x.pods[i].Name == name {
				add(x.top(podRef(&x.pods[i])))
			}
		}
	}
	objects := make([]Object, len(found))
	for i, r := range found {
		objects[i] = Object{GVK: r.gvk, Namespace: x.namespace, Name: r.name, Pods: x.podsOf(r)}
	}
	return objects
}

// Names lists the names of all that Find would find by its own name.
func (x *Index) Names() []string {
	var names []string
	for _, r := range x.tops() {
		names = append(names, r.name)
	}
	return slices.Compact(names)
}

// tops are the ends of all chains, in order.
func (x *Index) tops() []ref {
	seen := map[ref]bool{}
	var list []ref
	for r := range x.objects {
		if t := x.top(r); !seen[t] {
			seen[t] = true
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b ref) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.gvk.Kind, b.gvk.Kind))
	})
	return list
}

func (x *Index) podsOf(r ref) []corev1.Pod {
	var pods []corev1.Pod
	for i := range x.pods {
		if x.top(podRef(&x.pods[i])) == r {
			pods = append(pods, x.pods[i])
		}
	}
	return pods
}

func podRef(p *corev1.Pod) ref { return ref{corev1.SchemeGroupVersion.WithKind("Pod"), p.Name} }
