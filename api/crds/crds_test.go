package crds

import (
	"context"
	"io/fs"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// An API server accepts every definition; among other things it bounds what
// the rules may cost.
func TestDefinitionsAreValid(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{apiextensions.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range all {
		apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
		internal := &apiextensions.CustomResourceDefinition{}
		if err := scheme.Convert(crd, internal, nil); err != nil {
			t.Fatalf("%s: %v", crd.Name, err)
		}
		internal.Status.StoredVersions = []string{v1alpha1.GroupVersion.Version}
		for _, err := range validation.ValidateCustomResourceDefinition(context.Background(), internal) {
			t.Errorf("%s: %v", crd.Name, err)
		}
	}
}

// The definitions, the Go types and the scheme know the same kinds.
func TestEveryKindIsDefined(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	defined := map[string]bool{}
	for _, crd := range all {
		kind := crd.Spec.Names.Kind
		defined[kind] = true
		if !scheme.Recognizes(v1alpha1.GroupVersion.WithKind(kind)) {
			t.Errorf("%s is defined but not in the scheme", kind)
		}
		if crd.Spec.Scope != apiextensionsv1.ClusterScoped {
			t.Errorf("%s is %s, want %s", kind, crd.Spec.Scope, apiextensionsv1.ClusterScoped)
		}
		version := crd.Spec.Versions[0]
		if version.Subresources == nil || version.Subresources.Status == nil {
			t.Errorf("%s has no status subresource", kind)
		}
	}
	for _, kind := range []string{"Department", "Project", "NodePool", "WorkloadRule"} {
		if !defined[kind] {
			t.Errorf("%s has no definition; run go generate ./api/v1alpha1", kind)
		}
	}
	if names, _ := fs.Glob(Files(), "*.yaml"); len(names) != len(all) {
		t.Errorf("%d files for %d definitions", len(names), len(all))
	}
}
