package cli

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/submit"
)

// weirKind is one of the kinds that people write with the command.
type weirKind struct {
	kind     string // "Project"
	resource string // "projects"
	noun     string // "project": also the command
}

var (
	projectKind    = weirKind{"Project", "projects", "project"}
	departmentKind = weirKind{"Department", "departments", "department"}
	poolKind       = weirKind{"NodePool", "nodepools", "pool"}
)

// typeMeta is what objects of the kind start with.
func (k weirKind) typeMeta() metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: k.kind}
}

// names lists what there is of the kind.
func (k weirKind) names(ctx context.Context, c Clients) ([]string, error) {
	list, err := c.Dynamic.Resource(v1alpha1.GroupVersion.WithResource(k.resource)).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].GetName())
	}
	slices.Sort(names)
	return names, nil
}

// get reads one object into obj; where there is none, the error names those
// that are similar.
func (k weirKind) get(ctx context.Context, c Clients, name string, obj submit.Object) error {
	u, err := k.raw(ctx, c, name)
	if err != nil {
		return err
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, obj)
}

// raw reads one object as it is in the cluster.
func (k weirKind) raw(ctx context.Context, c Clients, name string) (*unstructured.Unstructured, error) {
	u, err := c.Dynamic.Resource(v1alpha1.GroupVersion.WithResource(k.resource)).Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return u, err
	}
	names, err := k.names(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, notFound("there is no %s %q%s", k.noun, name, listed(name, names, "there are none yet"))
}

// write creates the object, or updates it.
func (k weirKind) write(ctx context.Context, c Clients, obj submit.Object, create bool) error {
	plain, err := weirPlain(obj)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: plain}
	resource := c.Dynamic.Resource(v1alpha1.GroupVersion.WithResource(k.resource))
	if create {
		_, err = resource.Create(ctx, u, metav1.CreateOptions{})
	} else {
		_, err = resource.Update(ctx, u, metav1.UpdateOptions{})
	}
	switch {
	case apierrors.IsAlreadyExists(err):
		return refused("there is a %s %q already: change it with weir %s set %s",
			k.noun, obj.GetName(), k.noun, obj.GetName())
	case apierrors.IsConflict(err):
		return fmt.Errorf("%s %q was changed by somebody else just now: try again", k.noun, obj.GetName())
	}
	return err
}

// weirPlain returns the object as people would write it, with decimals as
// decimals: "2.5", which Kubernetes' quantities would print as "2500m".
func weirPlain(obj submit.Object) (map[string]any, error) {
	plain, err := submit.Plain(obj)
	if err != nil {
		return nil, err
	}
	spec, _ := plain["spec"].(map[string]any)
	decimals(spec, "pricePerGPUHour")
	pools, _ := spec["pools"].([]any)
	for _, p := range pools {
		pool, _ := p.(map[string]any)
		for _, amount := range []string{"quota", "limit"} {
			m, _ := pool[amount].(map[string]any)
			decimals(m, "gpu")
		}
	}
	return plain, nil
}

func decimals(m map[string]any, field string) {
	s, _ := m[field].(string)
	if q, err := resource.ParseQuantity(s); err == nil {
		m[field] = quantity.GPUs(q.ScaledValue(resource.Micro))
	}
}

func (k weirKind) delete(ctx context.Context, c Clients, name string) error {
	err := c.Dynamic.Resource(v1alpha1.GroupVersion.WithResource(k.resource)).Delete(ctx, name, metav1.DeleteOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	names, err := k.names(ctx, c)
	if err != nil {
		return err
	}
	return notFound("there is no %s %q%s", k.noun, name, listed(name, names, "there are none"))
}

// projectNamespaces is a project and the namespaces that belong to it.
type projectNamespaces struct {
	name, department string
	namespaces       []string
}

func listProjects(ctx context.Context, c Clients) ([]projectNamespaces, error) {
	list, err := c.Dynamic.Resource(v1alpha1.GroupVersion.WithResource(projectKind.resource)).
		List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var projects []projectNamespaces
	for i := range list.Items {
		var p v1alpha1.Project
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &p); err != nil {
			return nil, fmt.Errorf("project %s cannot be read: %w", list.Items[i].GetName(), err)
		}
		namespaces := p.Spec.Namespaces
		if len(namespaces) == 0 {
			namespaces = []string{p.Name}
		}
		projects = append(projects, projectNamespaces{p.Name, p.Spec.Department, namespaces})
	}
	return projects, nil
}

func projectNames(list []projectNamespaces) []string {
	var names []string
	for _, p := range list {
		names = append(names, p.name)
	}
	return names
}

// ownerNames lists the owners of a kind that a view has.
func ownerNames(v *snapshot.View, kind string) []string {
	var names []string
	for _, o := range v.Owners {
		if o.Kind == kind {
			names = append(names, o.Name)
		}
	}
	return names
}
