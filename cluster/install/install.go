// Package install is what a cluster has to have for Weir: its kinds, the
// objects by which its programs run in a real cluster, and the departments,
// projects and namespaces of an organisation.
//
// It applies kinds and organisations itself, as `weir up` needs them. The
// other objects it only describes: `weir install` prints or applies them.
package install

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/api/crds"
	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/watch"
)

// Kinds creates the definitions of Weir's kinds, or brings those of an older
// version up to date, and returns when the API server serves them.
func Kinds(ctx context.Context, cfg *rest.Config) error {
	client, err := apiextensions.NewForConfig(cfg)
	if err != nil {
		return err
	}
	weir, err := watch.WeirClient(cfg)
	if err != nil {
		return err
	}
	all, err := crds.All()
	if err != nil {
		return err
	}
	for _, crd := range all {
		if err := define(ctx, client, crd); err != nil {
			return fmt.Errorf("define %s: %w", crd.Name, err)
		}
	}
	for _, crd := range all {
		if err := served(ctx, weir, crd.Spec.Names.Plural); err != nil {
			return fmt.Errorf("%s is not served: %w", crd.Name, err)
		}
	}
	return nil
}

func define(ctx context.Context, client apiextensions.Interface, crd *apiextensionsv1.CustomResourceDefinition) error {
	definitions := client.ApiextensionsV1().CustomResourceDefinitions()
	_, err := definitions.Create(ctx, crd, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	old, err := definitions.Get(ctx, crd.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	crd.ResourceVersion = old.ResourceVersion
	_, err = definitions.Update(ctx, crd, metav1.UpdateOptions{})
	return err
}

// served waits until objects of a kind can be listed.
func served(ctx context.Context, weir rest.Interface, resource string) error {
	for {
		err := weir.Get().Resource(resource).Do(ctx).Error()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// Organisation is who shares a cluster.
type Organisation struct {
	Namespaces  []*corev1.Namespace
	Departments []*v1alpha1.Department
	Projects    []*v1alpha1.Project
}

// Create creates what is missing of an organisation. What exists stays as it
// is: people may have changed it.
func (o Organisation) Create(ctx context.Context, cfg *rest.Config) error {
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	weir, err := watch.WeirClient(cfg)
	if err != nil {
		return err
	}
	for _, ns := range o.Namespaces {
		_, err := kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create namespace %s: %w", ns.Name, err)
		}
	}
	create := func(resource, name string, obj runtime.Object) error {
		err := weir.Post().Resource(resource).Body(obj).Do(ctx).Error()
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %s %s: %w", resource, name, err)
		}
		return nil
	}
	for _, d := range o.Departments {
		if err := create("departments", d.Name, d); err != nil {
			return err
		}
	}
	for _, p := range o.Projects {
		if err := create("projects", p.Name, p); err != nil {
			return err
		}
	}
	return nil
}
