// Package schema checks Weir's objects by their own definitions (package
// crds), as the API server would: types, unknown fields, defaults, list keys
// and CEL rules. `weir plan` and the CLI refuse with it what a cluster would
// refuse, in the same words.
//
// What it does not do: rules between objects are in package tree, and it does
// not decode; it works on objects as they are in JSON.
package schema

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/weir-gpu/weir/api/crds"
)

// Schema is the definition of one kind, ready to check objects. It is safe
// for concurrent use.
type Schema struct {
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator
}

// load compiles all definitions, once: it takes some tens of milliseconds.
var load = sync.OnceValues(func() (map[k8sschema.GroupVersionKind]*Schema, error) {
	all, err := crds.All()
	if err != nil {
		return nil, err
	}
	schemas := map[k8sschema.GroupVersionKind]*Schema{}
	for _, crd := range all {
		for i := range crd.Spec.Versions {
			version := &crd.Spec.Versions[i]
			s, err := compile(version.Schema.OpenAPIV3Schema)
			if err != nil {
				return nil, fmt.Errorf("definition %s: %w", crd.Name, err)
			}
			gvk := k8sschema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
			schemas[gvk] = s
		}
	}
	return schemas, nil
})

func compile(props *apiextensionsv1.JSONSchemaProps) (*Schema, error) {
	internal := &apiextensions.JSONSchemaProps{}
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, internal, nil)
	if err != nil {
		return nil, err
	}
	s := &Schema{}
	if s.structural, err = schema.NewStructural(internal); err != nil {
		return nil, err
	}
	if s.openAPI, _, err = validation.NewSchemaValidator(internal); err != nil {
		return nil, err
	}
	s.rules = cel.NewValidator(s.structural, true, celconfig.PerCallLimit)
	return s, nil
}

// For returns the schema of a kind; ok is false when it is not one of Weir's.
func For(gvk k8sschema.GroupVersionKind) (s *Schema, ok bool, err error) {
	schemas, err := load()
	if err != nil {
		return nil, false, err
	}
	s, ok = schemas[gvk]
	return s, ok, nil
}

// Complete fills in the defaults that the API server would fill in.
func (s *Schema) Complete(obj *unstructured.Unstructured) {
	defaulting.PruneNonNullableNullsWithoutDefaults(obj.Object, s.structural)
	defaulting.Default(obj.Object, s.structural)
}

// Check returns what is wrong with an object, completed or not, in the API
// server's words; nothing when it would be accepted. Fields that the definition
// does not have are wrong too, as with kubectl. Broken rules come in order of
// their fields; the API server has no order for them.
func (s *Schema) Check(obj *unstructured.Unstructured) field.ErrorList {
	full := obj.DeepCopy()
	errs := s.unknown(full)
	s.Complete(full)
	errs = append(errs, validation.ValidateCustomResource(nil, full.Object, s.openAPI)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, full.Object)...)
	if s.rules == nil || blocking(errs) {
		return errs
	}
	broken, _ := s.rules.Validate(context.Background(), nil, s.structural, full.Object, nil,
		celconfig.RuntimeCELCostBudget)
	slices.SortStableFunc(broken, func(a, b *field.Error) int { return cmp.Compare(a.Field, b.Field) })
	return append(errs, broken...)
}

// unknown drops, and tells, the fields that the definition does not have.
func (s *Schema) unknown(obj *unstructured.Unstructured) (errs field.ErrorList) {
	paths := pruning.PruneWithOptions(obj.Object, s.structural, true,
		schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range paths {
		errs = append(errs, field.Forbidden(field.NewPath(path),
			fmt.Sprintf("%s has no such field; check its spelling and indentation", obj.GetKind())))
	}
	return errs
}

// blocking reports whether the rules cannot be evaluated for such errors.
func blocking(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}
