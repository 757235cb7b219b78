package claim

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/resource"
	_ "k8s.io/kubernetes/pkg/apis/resource/install"
	"k8s.io/kubernetes/pkg/apis/resource/validation"
	"k8s.io/kubernetes/pkg/registry/resource/deviceclass"
	"k8s.io/kubernetes/pkg/registry/resource/resourceclaimtemplate"
	"k8s.io/kubernetes/pkg/registry/resource/resourceslice"
)

// failer is what *testing.T and *rapid.T have in common.
type failer interface {
	Helper()
	Fatal(...any)
	Errorf(string, ...any)
}

// stored applies the API's defaults to obj and converts it as the API server
// does before it validates.
func stored[T any](t failer, obj runtime.Object) *T {
	t.Helper()
	obj = obj.DeepCopyObject()
	legacyscheme.Scheme.Default(obj)
	out := new(T)
	if err := legacyscheme.Scheme.Convert(obj, out, nil); err != nil {
		t.Fatal(err)
	}
	return out
}

func wantValid(t failer, errs field.ErrorList, what string, obj any) {
	t.Helper()
	if len(errs) > 0 {
		t.Errorf("the API server refuses the %s: %v\n%+v", what, errs.ToAggregate(), obj)
	}
}

func wantValidStatus(t failer, next, old *resourcev1.ResourceClaim) {
	t.Helper()
	oldClaim, newClaim := stored[resource.ResourceClaim](t, old), stored[resource.ResourceClaim](t, next)
	oldClaim.ResourceVersion, newClaim.ResourceVersion = "1", "1"
	wantValid(t, validation.ValidateResourceClaim(oldClaim), "claim", old)
	wantValid(t, validation.ValidateResourceClaimStatusUpdate(newClaim, oldClaim), "status", next.Status)
}

func wantValidPodStatus(t failer, next, old *corev1.Pod) {
	t.Helper()
	newPod, oldPod := stored[core.Pod](t, next), stored[core.Pod](t, old)
	newPod.ResourceVersion, oldPod.ResourceVersion = "1", "1"
	errs := corevalidation.ValidatePodStatusUpdate(newPod, oldPod, corevalidation.PodValidationOptions{})
	wantValid(t, errs, "pod status", next.Status)
}

func wantValidSlice(t failer, s *resourcev1.ResourceSlice) {
	t.Helper()
	ctx := genericrequest.NewDefaultContext()
	wantValid(t, resourceslice.Strategy.Validate(ctx, stored[resource.ResourceSlice](t, s)), "slice", s)
}

func wantValidTemplate(t failer, template *resourcev1.ResourceClaimTemplate) {
	t.Helper()
	ctx := genericrequest.WithNamespace(genericrequest.NewContext(), template.Namespace)
	errs := resourceclaimtemplate.NewStrategy(nil).Validate(ctx, stored[resource.ResourceClaimTemplate](t, template))
	wantValid(t, errs, "template", template)
}

func TestClassIsValid(t *testing.T) {
	ctx := genericrequest.NewDefaultContext()
	wantValid(t, deviceclass.Strategy.Validate(ctx, stored[resource.DeviceClass](t, Class())), "class", Class())
}
