package workload

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Ref names an object that owns pods. The version is left out: it is the same
// object in every version.
type Ref struct {
	Group     string // API group, "" for the core
	Kind      string
	Namespace string
	Name      string
}

// String names the object for people: "Job ml/train".
func (r Ref) String() string { return r.Kind + " " + r.Namespace + "/" + r.Name }

// ControllerOf returns what controls an object, if anything does.
func ControllerOf(obj metav1.Object) (Ref, bool) {
	c := metav1.GetControllerOfNoCopy(obj)
	if c == nil {
		return Ref{}, false
	}
	gv, err := schema.ParseGroupVersion(c.APIVersion)
	if err != nil {
		return Ref{}, false
	}
	return Ref{Group: gv.Group, Kind: c.Kind, Namespace: obj.GetNamespace(), Name: c.Name}, true
}

// ID is the engine's name for the workload that ref is the root of. group
// tells the gangs of one object apart; it is "" where the object is one gang.
func (r Ref) ID(group string) string {
	id := r.Namespace + "/" + strings.ToLower(r.Kind) + "/" + r.Name
	if group != "" {
		id += "/" + group
	}
	return id
}

// Display is how people see a workload's ID: without the kind.
func Display(id string) string {
	namespace, rest, ok := strings.Cut(id, "/")
	if !ok {
		return id
	}
	_, name, ok := strings.Cut(rest, "/")
	if !ok {
		return id
	}
	return namespace + "/" + name
}
