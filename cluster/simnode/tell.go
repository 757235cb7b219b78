package simnode

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/weir-gpu/weir/kube/claim"
)

// tell says in lines what a container would have had, had it been run.
func (f *Fleet) tell(ctx context.Context, pod *corev1.Pod, container string) []string {
	lines := []string{fmt.Sprintf("This is a simulation: node %s executes nothing, and container %s of pod %s/%s "+
		"writes no logs.", pod.Spec.NodeName, container, pod.Namespace, pod.Name)}
	granted := append(counts(pod), f.exact(ctx, pod)...)
	if granted == nil {
		granted = []string{"The pod was granted no GPU."}
	}
	lines = append(lines, granted...)
	switch life, ok, err := duration(pod, DurationAnnotation); {
	case err != nil:
		lines = append(lines, fmt.Sprintf("It runs until it is deleted, because its %v.", err))
	case ended(pod):
		lines = append(lines, lastLine(pod))
	case !ok:
		lines = append(lines, "It runs until it is deleted; the annotation "+DurationAnnotation+" would let it end by itself.")
	case pod.Status.StartTime != nil:
		lines = append(lines, fmt.Sprintf("It runs for %s, since %s.", life, pod.Status.StartTime.UTC().Format(time.RFC3339)))
	}
	return lines
}

// counts tells of GPUs that were granted by number.
func counts(pod *corev1.Pod) []string {
	if pod.Status.ExtendedResourceClaimStatus != nil {
		return nil // its claim tells which
	}
	n := int64(0)
	for _, c := range pod.Spec.Containers {
		if q, ok := c.Resources.Limits[gpuResource]; ok {
			n += q.Value()
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("The pod was granted %d of the node's GPUs (%s).", n, gpuResource)}
}

// exact tells of the devices in a pod's claims.
func (f *Fleet) exact(ctx context.Context, pod *corev1.Pod) (lines []string) {
	for _, name := range claimNames(pod) {
		c, err := f.client.ResourceV1().ResourceClaims(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			lines = append(lines, fmt.Sprintf("What it was granted by claim %s has been given back.", name))
			continue
		}
		if err != nil {
			lines = append(lines, fmt.Sprintf("What claim %s holds cannot be read: %v.", name, err))
			continue
		}
		held, _, err := claim.Held(c, nil)
		if err != nil {
			lines = append(lines, err.Error())
		}
		for _, s := range held.Devices {
			lines = append(lines, fmt.Sprintf("The pod was granted device %s: %d MiB of its memory and %d/1000 of its compute.",
				s.Device, s.MemoryMiB, s.ComputeMilli))
		}
	}
	return lines
}

func claimNames(pod *corev1.Pod) (names []string) {
	for _, s := range pod.Status.ResourceClaimStatuses {
		if name := ptr.Deref(s.ResourceClaimName, ""); name != "" {
			names = append(names, name)
		}
	}
	if s := pod.Status.ExtendedResourceClaimStatus; s != nil {
		names = append(names, s.ResourceClaimName)
	}
	return names
}
