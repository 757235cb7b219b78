package ask

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/weir-gpu/weir/sched"
)

// FromPod reads what a pod asks for. Claims the pod refers to are looked up in
// claims, which may be nil when there are none to be had; an error wraps
// [ErrMissing] when one is not there.
func FromPod(pod *corev1.Pod, claims Claims) (sched.Ask, error) {
	var a sched.Ask
	requests, err := Requests(pod)
	if err != nil {
		return sched.Ask{}, err
	}
	wholes, err := wholeGPUs(requests)
	if err != nil {
		return sched.Ask{}, err
	}
	delete(requests, WholeGPU)
	if a.Resources, err = resources(requests); err != nil {
		return sched.Ask{}, err
	}
	if _, err := LendsIdleMemory(pod); err != nil {
		return sched.Ask{}, err
	}
	model, models, err := modelsOf(pod)
	if err != nil {
		return sched.Ask{}, err
	}
	if a.Devices, a.Part, a.Models, err = devices(pod, wholes, models, claims); err != nil {
		return sched.Ask{}, err
	}
	if model.set && a.Devices == 0 {
		return sched.Ask{}, model.bad("names models but the pod asks for no GPU",
			"add resources.limits "+WholeGPU+", "+GPUFraction+" or "+GPUMemory)
	}
	a.Fit = FitKey(pod)
	return a, nil
}

// devices settles which of the ways to ask for GPUs the pod uses: whole ones
// by resource, a share by words, or a claim.
func devices(pod *corev1.Pod, wholes int, models []string, claims Claims) (int, sched.Part, []string, error) {
	n, part, shared, err := shareFromWords(pod)
	if err != nil {
		return 0, sched.Part{}, nil, err
	}
	slices.Sort(models)
	models = slices.Compact(models)
	if shared && wholes > 0 {
		w, _ := find(pod, ShareWord(pod))
		return 0, sched.Part{}, nil, w.bad(
			fmt.Sprintf("stands beside %s: %d", WholeGPU, wholes),
			"ask either for whole GPUs or for a share, not both")
	}
	if shared && isOwnClaim(pod, Shape{n, part, models}) {
		return n, part, models, nil
	}
	c, err := fromClaims(pod, claims)
	switch {
	case err != nil:
		return 0, sched.Part{}, nil, err
	case c.Devices == 0 && shared:
		return n, part, models, nil
	case c.Devices == 0:
		return wholes, sched.Part{}, models, nil
	case wholes > 0:
		return 0, sched.Part{}, nil, &Error{WholeGPU, fmt.Sprint(wholes), "stands beside a claim for GPUs",
			"ask for all of the pod's GPUs in one way"}
	case shared && !c.own:
		w, _ := find(pod, ShareWord(pod))
		return 0, sched.Part{}, nil, w.bad("stands beside a claim for GPUs", "ask for all of the pod's GPUs in one way")
	}
	if c.Models == nil && !c.own {
		c.Models = models
	}
	return c.Devices, c.Part, c.Models, nil
}

// Requests returns what the pod requests of a node by Kubernetes' rules: init
// containers, sidecars, overhead, pod-level resources, and limits where no
// request is written. GPUs are among them under [WholeGPU].
func Requests(pod *corev1.Pod) (corev1.ResourceList, error) {
	if err := equalGPULimits(pod); err != nil {
		return nil, err
	}
	return resourcehelper.PodRequests(withRequests(pod), resourcehelper.PodResourcesOptions{
		UseStatusResources: pod.Spec.NodeName != "", // a running pod may have been resized
		InPlacePodLevelResourcesVerticalScalingEnabled: true,
	}), nil
}

// withRequests writes limits as requests where there are none, as the API
// server does. Pods read from files have not been through it.
func withRequests(pod *corev1.Pod) *corev1.Pod {
	copied := false
	spec := &pod.Spec
	change := func() {
		if !copied {
			pod, copied = pod.DeepCopy(), true
			spec = &pod.Spec
		}
	}
	for i := range spec.InitContainers {
		if lacksRequest(&spec.InitContainers[i].Resources) {
			change()
			addRequests(&spec.InitContainers[i].Resources)
		}
	}
	for i := range spec.Containers {
		if lacksRequest(&spec.Containers[i].Resources) {
			change()
			addRequests(&spec.Containers[i].Resources)
		}
	}
	if spec.Resources != nil && lacksRequest(spec.Resources) {
		change()
		addRequests(spec.Resources)
	}
	return pod
}

func lacksRequest(r *corev1.ResourceRequirements) bool {
	for name := range r.Limits {
		if _, ok := r.Requests[name]; !ok {
			return true
		}
	}
	return false
}

func addRequests(r *corev1.ResourceRequirements) {
	if r.Requests == nil {
		r.Requests = corev1.ResourceList{}
	}
	for name, q := range r.Limits {
		if _, ok := r.Requests[name]; !ok {
			r.Requests[name] = q
		}
	}
}

// equalGPULimits checks that GPUs are asked for as the API server demands:
// whole, not negative, and request and limit alike.
func equalGPULimits(pod *corev1.Pod) error {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			r := &containers[i].Resources
			request, asked := r.Requests[WholeGPU]
			limit, limited := r.Limits[WholeGPU]
			if asked && (!limited || request.Cmp(limit) != 0) {
				return &Error{"resources.requests " + WholeGPU + " of container " + containers[i].Name,
					request.String(), "differs from its limit", "write the same number in resources.limits"}
			}
			if limited {
				if _, err := gpuCount(limit); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func wholeGPUs(requests corev1.ResourceList) (int, error) {
	q, ok := requests[WholeGPU]
	if !ok {
		return 0, nil
	}
	return gpuCount(q)
}

func gpuCount(q resource.Quantity) (int, error) {
	n, ok := q.AsInt64()
	if !ok || n < 0 || n > math.MaxInt32 {
		return 0, &Error{"resources.limits " + WholeGPU, plain(q), "is not a number of whole GPUs",
			"write 1, 2, 3 …, or ask for a part of one with " + GPUFraction}
	}
	return int(n), nil
}

// plain writes a quantity as people do: "1.5", not "1500m".
func plain(q resource.Quantity) string {
	s := q.AsDec().String()
	if strings.Contains(s, ".") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// errHuge is for quantities beyond what integers hold.
var errHuge = errors.New("is beyond what can be counted")

// resources reads requests into what the engine counts. Fractions of a unit
// are rounded up.
func resources(list corev1.ResourceList) (sched.Resources, error) {
	var r sched.Resources
	for name, q := range list {
		v, err := units(name, q)
		if err != nil {
			return sched.Resources{}, &Error{"the pod's request for " + string(name), q.String(), err.Error(),
				"write an amount that a node can have"}
		}
		put(&r, name, v)
	}
	return r, nil
}

// Allocatable reads what a node has, its devices left out. Fractions of a unit
// are rounded down; what cannot be read counts as none.
func Allocatable(list corev1.ResourceList) sched.Resources {
	var r sched.Resources
	for name, q := range list {
		if name == WholeGPU {
			continue
		}
		v, err := units(name, q)
		if err != nil {
			continue
		}
		if name != corev1.ResourceCPU && q.CmpInt64(v) < 0 {
			v--
		}
		put(&r, name, v)
	}
	return r
}

// units returns a quantity in milli for CPU, else in units, rounded up.
func units(name corev1.ResourceName, q resource.Quantity) (int64, error) {
	if q.Sign() < 0 {
		return 0, errors.New("is negative")
	}
	if name == corev1.ResourceCPU {
		if q.CmpInt64(math.MaxInt64/1000-1) > 0 {
			return 0, errHuge
		}
		return q.MilliValue(), nil
	}
	if q.CmpInt64(math.MaxInt64-1) > 0 {
		return 0, errHuge
	}
	return q.Value(), nil
}

func put(r *sched.Resources, name corev1.ResourceName, v int64) {
	switch name {
	case corev1.ResourceCPU:
		r.CPU = v
	case corev1.ResourceMemory:
		r.Memory = v
	case corev1.ResourcePods:
		r.Pods = v
	default:
		if v == 0 {
			return
		}
		if r.Other == nil {
			r.Other = map[string]int64{}
		}
		r.Other[string(name)] = v
	}
}
