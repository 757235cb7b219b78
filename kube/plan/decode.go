package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes/scheme"

	apischema "github.com/weir-gpu/weir/api/schema"
	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/workload"
)

// Input is a set of objects that were read without errors.
type Input struct {
	// Objects are typed where the kind is one of Kubernetes' or Weir's, else
	// unstructured; in order of kind, namespace and name.
	Objects []runtime.Object
	// Notes are about what was left out, for people.
	Notes []string

	at map[string]string // where objects stand, by title
}

// kinds are those that a plan depends on, and whether their objects stand in
// namespaces. Other kinds matter when there is a rule for them.
var kinds = map[schema.GroupVersionKind]bool{
	{Version: "v1", Kind: "Node"}:                                            false,
	{Version: "v1", Kind: "Namespace"}:                                       false,
	{Version: "v1", Kind: "Pod"}:                                             true,
	{Version: "v1", Kind: "PersistentVolume"}:                                false,
	{Version: "v1", Kind: "PersistentVolumeClaim"}:                           true,
	{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClass"}:           false,
	{Group: "storage.k8s.io", Version: "v1", Kind: "CSINode"}:                false,
	{Group: "storage.k8s.io", Version: "v1", Kind: "CSIDriver"}:              false,
	{Group: "scheduling.k8s.io", Version: "v1", Kind: "PriorityClass"}:       false,
	{Group: "scheduling.k8s.io", Version: "v1alpha2", Kind: "PodGroup"}:      true,
	{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}:            true,
	{Group: "resource.k8s.io", Version: "v1", Kind: "ResourceSlice"}:         false,
	{Group: "resource.k8s.io", Version: "v1", Kind: "ResourceClaim"}:         true,
	{Group: "resource.k8s.io", Version: "v1", Kind: "ResourceClaimTemplate"}: true,
	{Group: "apps", Version: "v1", Kind: "Deployment"}:                       true,
	{Group: "apps", Version: "v1", Kind: "ReplicaSet"}:                       true,
	{Group: "apps", Version: "v1", Kind: "StatefulSet"}:                      true,
	{Group: "batch", Version: "v1", Kind: "Job"}:                             true,
	{Group: "weir.dev", Version: "v1alpha1", Kind: "Department"}:             false,
	{Group: "weir.dev", Version: "v1alpha1", Kind: "Project"}:                false,
	{Group: "weir.dev", Version: "v1alpha1", Kind: "NodePool"}:               false,
	{Group: "weir.dev", Version: "v1alpha1", Kind: "WorkloadRule"}:           false,
}

// decoder knows the types of all kinds, and holds every field to be an error
// that the type does not have.
var decoder = sync.OnceValues(func() (runtime.Decoder, error) {
	types := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(types), v1alpha1.AddToScheme(types)); err != nil {
		return nil, err
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, types, types, json.SerializerOptions{Strict: true}), nil
})

// decodeAll reads all documents, rules first: they say what else matters.
func decodeAll(docs []document) (*Input, error) {
	in := &Input{at: map[string]string{}}
	rules := workload.Builtin()
	ignored := map[string]int{}
	var errs []error
	slices.SortStableFunc(docs, func(a, b document) int { return rank(a) - rank(b) })
	for _, d := range docs {
		obj, err := decode(d, rules)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case obj == nil:
			ignored[d.content["kind"].(string)]++
			continue
		}
		if rule, ok := obj.(*v1alpha1.WorkloadRule); ok {
			compiled, err := workload.Compile(rule)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", d.at, err))
				continue
			}
			rules.Set(compiled)
		}
		name := title(obj)
		if first, twice := in.at[name]; twice {
			errs = append(errs, fmt.Errorf("%s: %s is there already, in %s; keep one of the two", d.at, name, first))
			continue
		}
		in.at[name] = d.at
		in.Objects = append(in.Objects, obj)
	}
	slices.SortStableFunc(in.Objects, func(a, b runtime.Object) int { return strings.Compare(title(a), title(b)) })
	for kind, n := range ignored {
		in.Notes = append(in.Notes, fmt.Sprintf("%d of kind %s left out: no plan depends on them", n, kind))
	}
	slices.Sort(in.Notes)
	return in, errors.Join(errs...)
}

func rank(d document) int {
	if d.content["kind"] == "WorkloadRule" {
		return 0
	}
	return 1
}

// title names an object: "Pod ml/x".
func title(obj runtime.Object) string {
	m := accessor(obj)
	name := m.GetName()
	if m.GetNamespace() != "" {
		name = m.GetNamespace() + "/" + name
	}
	gvk := obj.GetObjectKind().GroupVersionKind()
	if gvk.Group != "" && gvk.Kind == "PodGroup" { // two kinds of that name
		return gvk.Kind + "." + gvk.Group + " " + name
	}
	return gvk.Kind + " " + name
}

// accessor returns an object's metadata. All that is decoded has some.
func accessor(obj runtime.Object) metav1.Object {
	m, err := meta.Accessor(obj)
	if err != nil {
		panic(err)
	}
	return m
}

// decode reads one document. It returns nil for an object of a kind that no
// plan depends on.
func decode(d document, rules *workload.Rules) (runtime.Object, error) {
	apiVersion, _ := d.content["apiVersion"].(string)
	kind, _ := d.content["kind"].(string)
	if apiVersion == "" || kind == "" {
		return nil, fmt.Errorf("%s: apiVersion or kind is missing; write both, such as v1 and Pod", d.at)
	}
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil, fmt.Errorf("%s: apiVersion %q is not of the form group/version, such as batch/v1", d.at, apiVersion)
	}
	gvk := gv.WithKind(kind)
	u := &unstructured.Unstructured{Object: d.content}
	namespaced, known := kinds[gvk]
	if !known {
		if other, ok := inOtherVersion(gvk); ok {
			return nil, fmt.Errorf("%s (%s): apiVersion %q is not read; write %q", d.at, kind, apiVersion,
				other.GroupVersion().String())
		}
		if rules.For(gvk.GroupKind()) == nil {
			return nil, nil
		}
		namespaced = true
	}
	where := d.at
	if name := u.GetName(); name != "" {
		where = fmt.Sprintf("%s (%s %s)", d.at, kind, name)
	}
	if err := complete(u, namespaced); err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if !known {
		return u, nil
	}
	obj, err := typed(u, gvk)
	var several utilerrors.Aggregate
	if errors.As(err, &several) {
		var each []error
		for _, err := range several.Errors() {
			each = append(each, fmt.Errorf("%s: %w", where, err))
		}
		return nil, errors.Join(each...)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return obj, nil
}

// where begins an error about an object with the place where it stands.
func (in *Input) where(obj runtime.Object, err error) error {
	name := title(obj)
	message := strings.TrimPrefix(err.Error(), name+": ")
	if at := in.at[name]; at != "" {
		return fmt.Errorf("%s: %s: %s", at, name, message)
	}
	return fmt.Errorf("%s: %s", name, message)
}

// inOtherVersion finds the version in which objects of the kind are read.
func inOtherVersion(gvk schema.GroupVersionKind) (schema.GroupVersionKind, bool) {
	for k := range kinds {
		if k.GroupKind() == gvk.GroupKind() {
			return k, true
		}
	}
	return schema.GroupVersionKind{}, false
}

// complete gives an object the name and namespace that a cluster would give
// it.
func complete(u *unstructured.Unstructured, namespaced bool) error {
	if m, ok := u.Object["metadata"].(map[string]any); !ok || m == nil {
		return errors.New("metadata is missing; write metadata with a name")
	}
	if u.GetName() == "" {
		u.SetName(strings.TrimSuffix(u.GetGenerateName(), "-"))
	}
	switch {
	case u.GetName() == "":
		return errors.New("metadata.name is missing; write a name")
	case namespaced && u.GetNamespace() == "":
		u.SetNamespace(metav1.NamespaceDefault)
	case !namespaced && u.GetNamespace() != "":
		return fmt.Errorf("metadata.namespace %q is set on a kind that has no namespaces; leave it out", u.GetNamespace())
	}
	return nil
}

// typed checks an object and reads it into its type.
func typed(u *unstructured.Unstructured, gvk schema.GroupVersionKind) (runtime.Object, error) {
	s, ours, err := apischema.For(gvk)
	if err != nil {
		return nil, err
	}
	if ours {
		if errs := s.Check(u); len(errs) > 0 {
			return nil, errs.ToAggregate()
		}
		s.Complete(u)
	}
	d, err := decoder()
	if err != nil {
		return nil, err
	}
	data, err := utiljson.Marshal(u.Object)
	if err != nil {
		return nil, err
	}
	obj, _, err := d.Decode(data, nil, nil)
	if runtime.IsStrictDecodingError(err) {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "strict decoding error: ") +
			"; check its spelling and indentation")
	}
	return obj, err
}
