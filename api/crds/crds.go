// Package crds holds Weir's custom resource definitions as controller-gen
// writes them from package v1alpha1, for those who install them into an API
// server and those who check objects without one (package schema).
package crds

import (
	"embed"
	"fmt"
	"io/fs"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

//go:embed *.yaml
var files embed.FS

// Files returns the definitions as YAML files.
func Files() fs.FS { return files }

// All returns the definitions, in order of file name. Every call returns
// objects of its own.
func All() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		raw, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(raw, crd); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, crd)
	}
	return all, nil
}
