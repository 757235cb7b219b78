package admit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/weir-gpu/weir/api/tree"
	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/workload"
)

// judgeOwn answers for Weir's own objects: what their schemas cannot say.
func (h *handler) judgeOwn(ctx context.Context, r *admissionv1.AdmissionRequest) verdict {
	if r.SubResource != "" {
		return verdict{}
	}
	switch r.Kind.Kind {
	case "Department", "Project":
		return h.judgeTree(ctx, r)
	case "NodePool":
		return h.judgePool(r)
	case "WorkloadRule":
		if r.Operation == admissionv1.Delete {
			return verdict{}
		}
		var rule v1alpha1.WorkloadRule
		if err := decode(r.Object.Raw, &rule); err != nil {
			return verdict{err: err}
		}
		_, err := workload.Compile(&rule)
		return verdict{err: err}
	}
	return verdict{}
}

// judgePool refuses a pool that no node can be in, and tells of nodes that are
// in another pool: which is no mistake while labels are being moved.
func (h *handler) judgePool(r *admissionv1.AdmissionRequest) verdict {
	if r.Operation == admissionv1.Delete {
		return verdict{}
	}
	var pool v1alpha1.NodePool
	if err := decode(r.Object.Raw, &pool); err != nil {
		return verdict{err: err}
	}
	for _, key := range slices.Sorted(maps.Keys(pool.Spec.NodeSelector)) {
		value := pool.Spec.NodeSelector[key]
		if len(validation.IsQualifiedName(key)) > 0 {
			return verdict{err: fmt.Errorf("pool %s: spec.nodeSelector names the label %q, which no node can have; "+
				"write it as kubectl get nodes --show-labels does, such as nvidia.com/gpu.product", pool.Name, key)}
		}
		if len(validation.IsValidLabelValue(value)) > 0 {
			return verdict{err: fmt.Errorf("pool %s: spec.nodeSelector wants %s to be %q, which no label can be; "+
				"write up to 63 letters, digits, dashes, underscores and dots", pool.Name, key, value)}
		}
	}
	if h.cfg.Overlaps == nil {
		return verdict{}
	}
	return verdict{warnings: h.cfg.Overlaps(&pool)}
}

// judgeTree refuses a change of the owner tree that brings a problem. Problems
// that are there already do not stand in its way. Deleting is never refused,
// as whole trees are deleted from either end; who loses a parent is told.
func (h *handler) judgeTree(ctx context.Context, r *admissionv1.AdmissionRequest) verdict {
	departments, projects := h.cfg.Owners()
	added, err := problems(departments, projects, r)
	if err != nil || len(added) == 0 {
		return verdict{err: err}
	}
	if r.Operation == admissionv1.Delete {
		return verdict{warnings: []string{added[0].String()}}
	}
	if late := h.parentOf(ctx, r); late != nil { // it may have been made, or changed, a moment ago
		seen := func(d v1alpha1.Department) bool { return d.Name == late.Name }
		departments = slices.DeleteFunc(slices.Clone(departments), seen)
		if added, err = problems(append(departments, *late), projects, r); err != nil || len(added) == 0 {
			return verdict{err: err}
		}
	}
	return verdict{err: errors.New(added[0].String())}
}

// problems are those that a request brings into the owner tree.
func problems(departments []v1alpha1.Department, projects []v1alpha1.Project, r *admissionv1.AdmissionRequest,
) ([]tree.Problem, error) {
	before := tree.Check(departments, projects)
	var err error
	if r.Kind.Kind == "Department" {
		departments, err = changed(departments, r, func(d *v1alpha1.Department) string { return d.Name })
	} else {
		projects, err = changed(projects, r, func(p *v1alpha1.Project) string { return p.Name })
	}
	if err != nil {
		return nil, err
	}
	return tree.Added(before, tree.Check(departments, projects)), nil
}

// changed returns the objects as they are after the request.
func changed[T any](all []T, r *admissionv1.AdmissionRequest, name func(*T) string) ([]T, error) {
	after := slices.DeleteFunc(slices.Clone(all), func(o T) bool { return name(&o) == r.Name })
	if r.Operation == admissionv1.Delete {
		return after, nil
	}
	var obj T
	if err := decode(r.Object.Raw, &obj); err != nil {
		return nil, err
	}
	after = slices.DeleteFunc(after, func(o T) bool { return name(&o) == name(&obj) })
	return append(after, obj), nil
}
