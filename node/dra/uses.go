package dra

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/weir-gpu/weir/kube/claim"
)

// A use is some of a claim's requests, and the containers that use any of
// them. They have one job together: who shares devices shares what is had of
// them.
type use struct {
	requests   []string
	containers []string
}

// name is what people call the job.
func (u use) name(pod *corev1.Pod) string {
	name := pod.Namespace + "/" + pod.Name
	if len(u.containers) == 1 {
		name += "/" + u.containers[0]
	}
	return name
}

// usesOf divides a claim into what its containers use together. ours reports
// whether another claim is of Weir's driver too.
func usesOf(c *resourcev1.ResourceClaim, pod *corev1.Pod, ours func(claim string) (bool, error)) ([]use, error) {
	var uses []use
	for _, r := range claim.Results(c) {
		if request := base(r.Request); !slices.ContainsFunc(uses, has(request)) {
			uses = append(uses, use{requests: []string{request}})
		}
	}
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		requests, others := claimsOf(pod, &container, c.Name)
		for _, other := range others {
			if len(requests) == 0 {
				break
			}
			switch also, err := ours(other); {
			case err != nil:
				return nil, err
			case also:
				return nil, fmt.Errorf("container %s uses claims %s and %s: ask for all of its devices in one claim, as it "+
					"has one job", container.Name, c.Name, other)
			}
		}
		uses = join(uses, container.Name, requests)
	}
	return uses, nil
}

// join makes one use of all that a container uses.
func join(uses []use, container string, requests []string) []use {
	var all use
	var rest []use
	for _, u := range uses {
		if slices.ContainsFunc(requests, func(r string) bool { return r == everything || slices.Contains(u.requests, r) }) {
			all.requests = append(all.requests, u.requests...)
			all.containers = append(all.containers, u.containers...)
		} else {
			rest = append(rest, u)
		}
	}
	if len(all.requests) == 0 {
		return uses
	}
	all.containers = append(all.containers, container)
	return append(rest, all)
}

func has(request string) func(use) bool {
	return func(u use) bool { return slices.Contains(u.requests, request) }
}

// everything is said by a container that uses a claim and names no request.
const everything = ""

// base is a request without the alternative of it that was chosen.
func base(request string) string {
	name, _, _ := strings.Cut(request, "/")
	return name
}

// claimsOf returns which of a claim's requests a container uses, and which
// other claims.
func claimsOf(pod *corev1.Pod, container *corev1.Container, name string) (requests, others []string) {
	uses := func(claim, request string) {
		if claim == name {
			requests = append(requests, request)
		} else if claim != "" {
			others = append(others, claim)
		}
	}
	for _, r := range container.Resources.Claims {
		uses(claimName(pod, r.Name), r.Request)
	}
	if e := pod.Status.ExtendedResourceClaimStatus; e != nil {
		for _, m := range e.RequestMappings {
			if m.ContainerName == container.Name {
				uses(e.ResourceClaimName, m.RequestName)
			}
		}
	}
	return requests, others
}

// claimName returns which claim a pod calls by a name; "" where it has none.
func claimName(pod *corev1.Pod, entry string) string {
	for _, e := range pod.Spec.ResourceClaims {
		if e.Name == entry && e.ResourceClaimName != nil {
			return *e.ResourceClaimName
		}
	}
	for _, s := range pod.Status.ResourceClaimStatuses {
		if s.Name == entry && s.ResourceClaimName != nil {
			return *s.ResourceClaimName
		}
	}
	return ""
}
