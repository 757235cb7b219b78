package admit

import (
	"context"
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// judge answers a request by the kind of its object. Kinds it knows nothing of
// are let through: they were sent by somebody's configuration, not by need.
func (h *handler) judge(ctx context.Context, r *admissionv1.AdmissionRequest) verdict {
	switch {
	case r.Kind.Group == "" && r.Kind.Kind == "Pod":
		return h.judgePod(ctx, r)
	case r.Kind.Group == v1alpha1.GroupVersion.Group:
		return h.judgeOwn(ctx, r)
	case r.Operation == admissionv1.Create || r.Operation == admissionv1.Update:
		return h.judgeMaker(ctx, r)
	}
	return verdict{}
}

// judgePod answers for pods. Only their creation is looked at: what matters of
// a pod cannot change afterwards.
func (h *handler) judgePod(ctx context.Context, r *admissionv1.AdmissionRequest) verdict {
	if r.Operation != admissionv1.Create || r.SubResource != "" {
		return verdict{}
	}
	var pod corev1.Pod
	if err := decode(r.Object.Raw, &pod); err != nil {
		return verdict{err: err}
	}
	pod.Namespace = r.Namespace
	v := verdict{warnings: warnings(&pod)}
	found, err := h.examine(ctx, &pod)
	if err != nil || !found.ours {
		v.err = err
		return v
	}
	if err := h.tooLarge(found); err != nil {
		v.err = err
		return v
	}
	v.patch, v.err = h.admit(ctx, &pod, found, r.DryRun != nil && *r.DryRun)
	return v
}

func decode(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("the object in the request cannot be read (%w); send it as the API server does", err)
	}
	return nil
}
