package claim

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// gpuPod returns a pod of containers "init:2 side:1 main:4 log:0".
func gpuPod(text string) *corev1.Pod {
	p := pod()
	for i, f := range strings.Fields(text) {
		kind, n, _ := strings.Cut(f, ":")
		c := corev1.Container{Name: fmt.Sprintf("%s%d", kind, i), Image: "x", ImagePullPolicy: "Always"}
		if n != "0" {
			gpus := corev1.ResourceList{ask.WholeGPU: resource.MustParse(n)}
			c.Resources = corev1.ResourceRequirements{Limits: gpus, Requests: gpus}
		}
		switch kind {
		case "side":
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
			fallthrough
		case "init":
			p.Spec.InitContainers = append(p.Spec.InitContainers, c)
		default:
			p.Spec.Containers = append(p.Spec.Containers, c)
		}
	}
	return p
}

func TestExtendedRequests(t *testing.T) {
	for containers, want := range map[string]struct{ requests, uses string }{
		"main:4":             {"container-0=4", "main0:container-0"},
		"main:4 log:0 aux:1": {"container-0=4 container-2=1", "aux2:container-2 main0:container-0"},
		"init:2 main:4":      {"container-1=4", "main1:container-1 init0:container-1"},
		"init:6 main:4":      {"container-1=4 init=2", "main1:container-1 init0:container-1 init0:init"},
		"init:6 init:3 main:1": {
			"container-2=1 init=5", "main2:container-2 init1:container-2 init1:init init0:container-2 init0:init",
		},
		// A sidecar keeps its own while the init containers after it run.
		"side:1 init:2 main:1": {
			"container-0=1 container-2=1 init=1",
			"main2:container-2 init1:container-2 init1:init side0:container-0",
		},
		"init:2 side:1 main:1": {
			"container-1=1 container-2=1",
			"main2:container-2 side1:container-1 init0:container-1 init0:container-2",
		},
	} {
		t.Run(containers, func(t *testing.T) {
			c, uses := Extended(gpuPod(containers))
			var r, u []string
			for _, request := range c.Spec.Devices.Requests {
				r = append(r, fmt.Sprintf("%s=%d", request.Name, request.Exactly.Count))
			}
			for _, use := range uses {
				u = append(u, use.ContainerName+":"+use.RequestName)
			}
			if got := strings.Join(r, " "); got != want.requests {
				t.Errorf("requests: got %s; want %s", got, want.requests)
			}
			if got := strings.Join(u, " "); got != want.uses {
				t.Errorf("uses: got %s; want %s", got, want.uses)
			}
		})
	}
}

// TestExtendedClaimsAskForWhatThePodAsksFor: as many devices as the pod
// requests by Kubernetes' rules, and valid at every step.
func TestExtendedClaimsAskForWhatThePodAsksFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var words []string
		for range rapid.IntRange(0, 4).Draw(t, "before") {
			kind := rapid.SampledFrom([]string{"init", "side"}).Draw(t, "kind")
			words = append(words, fmt.Sprintf("%s:%d", kind, rapid.IntRange(0, 4).Draw(t, "gpus")))
		}
		for range rapid.IntRange(1, 3).Draw(t, "containers") {
			words = append(words, fmt.Sprintf("main:%d", rapid.IntRange(0, 4).Draw(t, "gpus")))
		}
		p := gpuPod(strings.Join(words, " "))
		a, err := ask.FromPod(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, uses := Extended(p)
		if got := count(c); got != a.Devices {
			t.Fatalf("%v: the claim asks for %d devices; the pod for %d", words, got, a.Devices)
		}
		if a.Devices == 0 {
			return
		}
		c.Name, c.UID = c.GenerateName+"x", "1b4e28ba-2fa1-11d2-883f-0016d3cca428"
		want := sched.Grant{Node: "n1"}
		for i := range a.Devices {
			want.Devices = append(want.Devices, anyShare(t, i))
		}
		granted, err := Grant(p, []*resourcev1.ResourceClaim{c}, want)
		if err != nil {
			t.Fatal(err)
		}
		wantValidStatus(t, granted[0], c)
		next := p.DeepCopy()
		next.Status.ExtendedResourceClaimStatus = &corev1.PodExtendedResourceClaimStatus{
			ResourceClaimName: c.Name, RequestMappings: uses,
		}
		wantValidPodStatus(t, next, p)
	})
}
