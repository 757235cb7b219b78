package admit

import (
	"context"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// look finds an object as the API server has it.
func (h *handler) look(ctx context.Context, resource, name string, into runtime.Object) bool {
	return h.cfg.Look != nil && name != "" && h.cfg.Look(ctx, resource, name, into)
}

// parentOf returns the department that the object of a request is part of, as
// the API server has it, or nil.
func (h *handler) parentOf(ctx context.Context, r *admissionv1.AdmissionRequest) *v1alpha1.Department {
	var obj struct {
		Spec struct{ Parent, Department string }
	}
	if decode(r.Object.Raw, &obj) != nil {
		return nil
	}
	name := obj.Spec.Department
	if r.Kind.Kind == "Department" {
		name = obj.Spec.Parent
	}
	var late v1alpha1.Department
	if !h.look(ctx, "departments", name, &late) {
		return nil
	}
	return &late
}

// ownProject returns the project of the namespace's own name, if it was not seen
// yet, is there and has the namespace.
func (h *handler) ownProject(ctx context.Context, namespace string) string {
	var late v1alpha1.Project
	if h.look(ctx, "projects", namespace, &late) && slices.Contains(late.NamespaceNames(), namespace) {
		return late.Name
	}
	return ""
}
