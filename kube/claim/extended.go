package claim

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/ask"
)

// Extended returns the claim by which a pod that asks for nvidia.com/gpu holds
// whole devices of Weir's driver, and which of its requests each container
// uses; the latter belongs into the pod's status. The scheduler creates the
// claim, as Kubernetes' own does for extended resources behind DRA: no user
// refers to it, the pod owns it.
//
// Containers that run together get devices of their own. Init containers run
// before, so they use devices of the containers after them, and the request
// "init" holds what they need beyond.
func Extended(pod *corev1.Pod) (*resourcev1.ResourceClaim, []corev1.ContainerExtendedResourceRequest) {
	requests, uses := requestsOf(pod)
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    pod.Namespace,
			GenerateName: pod.Name + "-extended-resources-",
			Annotations:  map[string]string{resourcev1.ExtendedResourceClaimAnnotation: "true"},
			Finalizers:   []string{resourcev1.Finalizer},
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: new(true)},
			},
		},
		Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: requests}},
	}, uses
}

// IsExtended reports whether a claim is one that [Extended] returns, or that
// another scheduler made for the same purpose.
func IsExtended(c *resourcev1.ResourceClaim) bool {
	return c.Annotations[resourcev1.ExtendedResourceClaimAnnotation] == "true"
}

const initRequest = "init"

func requestsOf(pod *corev1.Pod) ([]resourcev1.DeviceRequest, []corev1.ContainerExtendedResourceRequest) {
	var uses []corev1.ContainerExtendedResourceRequest
	use := func(container, request string) {
		uses = append(uses, corev1.ContainerExtendedResourceRequest{
			ContainerName: container, ResourceName: ask.WholeGPU, RequestName: request,
		})
	}
	all := append(pod.Spec.InitContainers[:len(pod.Spec.InitContainers):len(pod.Spec.InitContainers)],
		pod.Spec.Containers...)

	// From the last to the first, so that those after an init container are
	// known when it is its turn.
	var later []resourcev1.DeviceRequest // in reverse
	extra := int64(0)
	for i := len(all) - 1; i >= 0; i-- {
		c := &all[i]
		need := gpus(c)
		if need == 0 {
			continue
		}
		if i >= len(pod.Spec.InitContainers) || isSidecar(c) {
			name := fmt.Sprintf("container-%d", i)
			later = append(later, exactly(name, need))
			use(c.Name, name)
			continue
		}
		for j := len(later) - 1; j >= 0 && need > 0; j-- {
			use(c.Name, later[j].Name)
			need -= later[j].Exactly.Count
		}
		if need > 0 {
			use(c.Name, initRequest)
			extra = max(extra, need)
		}
	}
	var requests []resourcev1.DeviceRequest
	for i := len(later) - 1; i >= 0; i-- {
		requests = append(requests, later[i])
	}
	if extra > 0 {
		requests = append(requests, exactly(initRequest, extra))
	}
	return requests, uses
}

func exactly(name string, count int64) resourcev1.DeviceRequest {
	return resourcev1.DeviceRequest{Name: name, Exactly: &resourcev1.ExactDeviceRequest{
		DeviceClassName: ask.Driver,
		AllocationMode:  resourcev1.DeviceAllocationModeExactCount,
		Count:           count,
	}}
}

func gpus(c *corev1.Container) int64 {
	q := c.Resources.Requests[ask.WholeGPU]
	if limit, ok := c.Resources.Limits[ask.WholeGPU]; ok {
		q = limit
	}
	return q.Value()
}

func isSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}
