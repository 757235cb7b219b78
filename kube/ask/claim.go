package ask

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/weir-gpu/weir/sched"
)

// Claims finds the objects that pods' claim references name. It answers nil
// for what does not exist.
type Claims interface {
	Claim(namespace, name string) *resourcev1.ResourceClaim
	Template(namespace, name string) *resourcev1.ResourceClaimTemplate
}

// claimed is what a pod's claims ask for together.
type claimed struct {
	Shape
	own bool // made by admission from the pod's own words
}

// isOwnClaim reports whether the pod refers to the template that admission
// made for the shape its words still ask for, so that there is nothing to look
// up. Words can be edited later; the reference cannot.
func isOwnClaim(pod *corev1.Pod, s Shape) bool {
	refs := pod.Spec.ResourceClaims
	return len(refs) == 1 && refs[0].Name == ClaimRef && refs[0].ResourceClaimTemplateName != nil &&
		*refs[0].ResourceClaimTemplateName == s.TemplateName()
}

// fromClaims reads what the pod's claims ask for together. All of them have to
// ask for equal parts of devices: a pod is placed as one ask.
func fromClaims(pod *corev1.Pod, claims Claims) (claimed, error) {
	var all claimed
	for i := range pod.Spec.ResourceClaims {
		ref := &pod.Spec.ResourceClaims[i]
		spec, err := claimSpec(pod, ref, claims)
		if err != nil {
			return claimed{}, err
		}
		s, err := FromClaim(spec)
		if err != nil {
			return claimed{}, fmt.Errorf("spec.resourceClaims[%d] %q: %w", i, ref.Name, err)
		}
		if all.Devices > 0 && (all.Part != s.Part || !slices.Equal(all.Models, s.Models)) {
			return claimed{}, &Error{fmt.Sprintf("spec.resourceClaims[%d]", i), ref.Name,
				"asks for other parts of a GPU than the claims before it",
				"let all of a pod's claims ask for equal parts and models"}
		}
		n := all.Devices + s.Devices
		all = claimed{Shape: Shape{n, s.Part, s.Models}, own: ref.Name == ClaimRef && n == s.Devices}
	}
	return all, nil
}

// claimSpec finds what one reference of a pod stands for: the claim if there
// is one, else the template it will be made from.
func claimSpec(pod *corev1.Pod, ref *corev1.PodResourceClaim, claims Claims) (*resourcev1.ResourceClaimSpec, error) {
	if name := ClaimName(pod, ref); name != "" {
		c := lookUpClaim(claims, pod.Namespace, name)
		if c != nil {
			return &c.Spec, usable(pod, c)
		}
		if ref.ResourceClaimTemplateName == nil {
			return nil, missing("ResourceClaim", pod.Namespace, name)
		}
	}
	if ref.ResourceClaimTemplateName == nil {
		return nil, &Error{"spec.resourceClaims", ref.Name, "names no claim",
			"set resourceClaimName or resourceClaimTemplateName"}
	}
	name := *ref.ResourceClaimTemplateName
	if claims != nil {
		if t := claims.Template(pod.Namespace, name); t != nil {
			return &t.Spec.Spec, nil
		}
	}
	return nil, missing("ResourceClaimTemplate", pod.Namespace, name)
}

// ClaimName returns the name of the claim behind a reference of the pod, or ""
// while it has not been made from its template.
func ClaimName(pod *corev1.Pod, ref *corev1.PodResourceClaim) string {
	if ref.ResourceClaimName != nil {
		return *ref.ResourceClaimName
	}
	for _, s := range pod.Status.ResourceClaimStatuses {
		if s.Name == ref.Name && s.ResourceClaimName != nil {
			return *s.ResourceClaimName
		}
	}
	return ""
}

func lookUpClaim(claims Claims, namespace, name string) *resourcev1.ResourceClaim {
	if claims == nil {
		return nil
	}
	return claims.Claim(namespace, name)
}

// usable checks that no other pod holds the claim: what it was allocated is
// granted to one pod.
func usable(pod *corev1.Pod, c *resourcev1.ResourceClaim) error {
	for _, r := range c.Status.ReservedFor {
		if r.APIGroup == "" && r.Resource == "pods" && pod.UID != "" && r.UID != pod.UID {
			return &Error{"spec.resourceClaims", c.Name, "is held by pod " + r.Name,
				"give each pod its own claim with resourceClaimTemplateName"}
		}
	}
	return nil
}

// FromClaim reads what a claim asks for. An error says what of it Weir cannot
// grant.
func FromClaim(spec *resourcev1.ResourceClaimSpec) (Shape, error) {
	var all Shape
	if c := spec.Devices.Constraints; len(c) > 0 {
		return Shape{}, &Error{"devices.constraints", attributes(c), "is not supported",
			"leave it out, or name the allowed models in " + ShareConfigKind}
	}
	for i := range spec.Devices.Requests {
		r := &spec.Devices.Requests[i]
		s, err := fromRequest(r, spec.Devices.Config)
		if err != nil {
			return Shape{}, fmt.Errorf("request %q: %w", r.Name, err)
		}
		if i > 0 && (all.Part != s.Part || !slices.Equal(all.Models, s.Models)) {
			return Shape{}, &Error{"devices.requests", r.Name, "asks for other parts of a GPU than the ones before it",
				"let all requests ask for equal parts and models"}
		}
		s.Devices += all.Devices
		all = s
	}
	if all.Devices > MaxDevices {
		return Shape{}, &Error{"devices.requests", fmt.Sprint(all.Devices), "is more devices than a claim can hold",
			"ask for at most 32 in one claim"}
	}
	return all, nil
}

func fromRequest(r *resourcev1.DeviceRequest, configs []resourcev1.DeviceClaimConfiguration) (Shape, error) {
	e := r.Exactly
	if e == nil {
		return Shape{}, &Error{"firstAvailable", r.Name, "is not supported", "write one request under exactly"}
	}
	if err := grantable(e); err != nil {
		return Shape{}, err
	}
	config, err := configFor(r.Name, configs)
	if err != nil {
		return Shape{}, err
	}
	part, err := config.Part()
	if err != nil {
		return Shape{}, err
	}
	if part, err = withCapacity(part, e.Capacity); err != nil {
		return Shape{}, err
	}
	models := slices.Sorted(slices.Values(config.Models))
	return Shape{max(1, int(e.Count)), part, slices.Compact(models)}, nil
}

// grantable refuses the kinds of requests that Weir does not answer.
func grantable(e *resourcev1.ExactDeviceRequest) error {
	switch {
	case e.DeviceClassName != Driver:
		return foreign(e.DeviceClassName)
	case e.AllocationMode != "" && e.AllocationMode != resourcev1.DeviceAllocationModeExactCount:
		return &Error{"allocationMode", string(e.AllocationMode), "is not supported", "write ExactCount and a count"}
	case e.AdminAccess != nil && *e.AdminAccess:
		return &Error{"adminAccess", "true", "is not supported", "leave it out"}
	case len(e.Selectors) > 0:
		return &Error{"selectors", expressions(e.Selectors), "is not supported",
			"leave it out, or name the allowed models in " + ShareConfigKind}
	case len(e.Tolerations) > 0:
		return &Error{"tolerations", e.Tolerations[0].Key, "is not supported",
			"leave it out: tainted devices take no new pods"}
	case e.Count < 0 || e.Count > MaxDevices:
		return &Error{"count", fmt.Sprint(e.Count), "is out of range", devicesValid}
	}
	return nil
}

func expressions(selectors []resourcev1.DeviceSelector) string {
	var all []string
	for _, s := range selectors {
		if s.CEL != nil {
			all = append(all, s.CEL.Expression)
		}
	}
	return strings.Join(all, ", ")
}

func attributes(constraints []resourcev1.DeviceConstraint) string {
	var all []string
	for _, c := range constraints {
		for _, a := range []*resourcev1.FullyQualifiedName{c.MatchAttribute, c.DistinctAttribute} {
			if a != nil {
				all = append(all, string(*a))
			}
		}
	}
	return strings.Join(all, ", ")
}

// withCapacity adds a request's capacity requests to a part. Capacities that
// repeat what the config says have to agree with it.
func withCapacity(part sched.Part, c *resourcev1.CapacityRequirements) (sched.Part, error) {
	if c == nil {
		return part, nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Requests)) {
		q := c.Requests[name]
		w := word{"capacity.requests." + string(name), q.String(), true}
		var into *int64
		var v int64
		var err error
		switch name {
		case CapacityMemory, Driver + "/" + CapacityMemory:
			into = &part.MemoryMiB
			v, err = quantityMiB(w, q)
		case CapacityCompute, Driver + "/" + CapacityCompute:
			into = &part.ComputeMilli
			v, err = computeCapacity(w, q)
		default:
			err = w.bad("is not a capacity of "+Driver, "write memory or compute")
		}
		if err != nil {
			return sched.Part{}, err
		}
		if *into != 0 && *into != v {
			return sched.Part{}, w.bad("contradicts the claim's "+ShareConfigKind, "keep one of the two")
		}
		*into = v
	}
	if part.ComputeMilli > 0 && part.MemoryMiB == 0 && part.Fraction == 0 {
		return sched.Part{}, &Error{"capacity.requests.compute", fmt.Sprint(part.ComputeMilli),
			"asks for compute without memory", "add capacity.requests.memory"}
	}
	return part, nil
}
