package claim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

func pod() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ml", Name: "train-0", UID: "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
	}}
}

// claimOf returns the claim that is made from the template for a shape.
func claimOf(s ask.Shape, uid string) *resourcev1.ResourceClaim {
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "train-0-gpu-" + uid, UID: types.UID(uid)},
		Spec:       Spec(s),
	}
}

func anyShape(t *rapid.T) ask.Shape {
	s := ask.Shape{Devices: rapid.IntRange(1, 8).Draw(t, "count")}
	switch rapid.SampledFrom([]string{"whole", "fraction", "memory", "both"}).Draw(t, "kind") {
	case "fraction":
		s.Part = sched.Part{Fraction: rapid.Int64Range(1, sched.GPU).Draw(t, "fraction"), LimitFraction: sched.GPU}
	case "memory":
		s.Part = sched.Part{MemoryMiB: rapid.Int64Range(1, 1<<20).Draw(t, "memory"), LimitMemoryMiB: 1 << 20}
	case "both":
		s.Part = sched.Part{
			MemoryMiB:    rapid.Int64Range(1, 1<<20).Draw(t, "memory"),
			ComputeMilli: rapid.Int64Range(1, sched.WholeCompute).Draw(t, "compute"),
		}
	}
	if rapid.Bool().Draw(t, "models") {
		s.Models = []string{"A100", "H100"}
	}
	return s
}

func anyShare(t *rapid.T, i int) sched.Share {
	s := sched.Share{
		Device:       fmt.Sprintf("gpu-%d", i),
		MemoryMiB:    rapid.Int64Range(0, 1<<24).Draw(t, "memory"),
		ComputeMilli: rapid.Int64Range(0, 1000).Draw(t, "compute"),
	}
	s.LimitMemoryMiB = s.MemoryMiB + rapid.Int64Range(0, 3).Draw(t, "burst memory")
	s.LimitComputeMilli = s.ComputeMilli + rapid.Int64Range(0, 3).Draw(t, "burst compute")
	return s
}

// TestShapesComeBackFromTheirTemplates: what admission writes down for a pod's
// words is read as just what the words ask for.
func TestShapesComeBackFromTheirTemplates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyShape(t)
		template := Template("ml", want)
		wantValidTemplate(t, template)
		got, err := ask.FromClaim(&template.Spec.Spec)
		if err != nil || !cmp.Equal(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

// TestGrantsComeBackFromTheirClaims: what is written into claims is valid for
// the API server, and read back as just what was granted.
func TestGrantsComeBackFromTheirClaims(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var claims []*resourcev1.ResourceClaim
		want := sched.Grant{Node: "n1"}
		for i := range rapid.IntRange(1, 3).Draw(t, "claims") {
			s := anyShape(t)
			claims = append(claims, claimOf(s, fmt.Sprintf("c%d", i)))
			for range s.Devices {
				want.Devices = append(want.Devices, anyShare(t, len(want.Devices)))
			}
		}
		granted, err := Grant(pod(), claims, want)
		if err != nil {
			t.Fatal(err)
		}
		got := sched.Grant{Node: "n1"}
		for i, c := range granted {
			wantValidStatus(t, c, claims[i])
			part, ok, err := Held(throughJSON(t, c), nil)
			if !ok || err != nil || part.Node != "n1" {
				t.Fatalf("claim %d: got %+v, %v, %v", i, part, ok, err)
			}
			got.Devices = append(got.Devices, part.Devices...)
		}
		if !cmp.Equal(got, want) {
			t.Fatalf("got %+v; want %+v", got, want)
		}

		again, err := Grant(pod(), granted, want)
		if err != nil || !cmp.Equal(again, granted) {
			t.Fatalf("granting the same again: got %+v, %v", again, err)
		}
	})
}

// fixed returns a share of gpu-0 that may not burst.
func fixed(memory, compute int64) sched.Share {
	return sched.Share{
		Device: "gpu-0", MemoryMiB: memory, ComputeMilli: compute, LimitMemoryMiB: memory, LimitComputeMilli: compute,
	}
}

func throughJSON(t failer, c *resourcev1.ResourceClaim) *resourcev1.ResourceClaim {
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out := &resourcev1.ResourceClaim{}
	if err := json.Unmarshal(raw, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOmittedLimitsAreTheRequests(t *testing.T) {
	c := claimOf(ask.Shape{Devices: 1}, "c0")
	granted, err := Grant(pod(), []*resourcev1.ResourceClaim{c},
		sched.Grant{Node: "n1", Devices: []sched.Share{{Device: "gpu-0", MemoryMiB: 10, ComputeMilli: 20}}})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := Held(granted[0], nil)
	want := []sched.Share{fixed(10, 20)}
	if err != nil || !cmp.Equal(got.Devices, want) {
		t.Errorf("got %+v, %v; want %+v", got.Devices, err, want)
	}
}

func TestGrantsThatDoNotSuitTheClaims(t *testing.T) {
	two := claimOf(ask.Shape{Devices: 2}, "c0")
	shares := []sched.Share{{Device: "gpu-0"}, {Device: "gpu-1"}, {Device: "gpu-2"}}
	grant := func(c *resourcev1.ResourceClaim, node string, n int) error {
		_, err := Grant(pod(), []*resourcev1.ResourceClaim{c}, sched.Grant{Node: node, Devices: shares[:n]})
		return err
	}
	held, err := Grant(pod(), []*resourcev1.ResourceClaim{two}, sched.Grant{Node: "n1", Devices: shares[:2]})
	if err != nil {
		t.Fatal(err)
	}
	others := held[0].DeepCopy()
	others.Status.ReservedFor[0].UID = "another"
	others.Status.ReservedFor[0].Name = "first"

	for name, c := range map[string]struct {
		err   error
		taken bool
		want  string
	}{
		"too few": {grant(two, "n1", 1), false, "claim ml/train-0-gpu-c0 asks for 2 devices and 1 are granted; " +
			"make the grant again from the claim"},
		"too many": {grant(two, "n1", 3), false, "pod ml/train-0 is granted 1 devices more than its claims ask for; " +
			"make the grant again from the claims"},
		"elsewhere": {grant(held[0], "n2", 2), true, "claim ml/train-0-gpu-c0 is allocated already otherwise; " +
			"delete the pod, so that it gets a new claim"},
		"another pod's": {grant(others, "n1", 2), true, "claim ml/train-0-gpu-c0 is allocated already: " +
			"it is reserved for pods first; delete that first, or give the pod its own claim"},
	} {
		if c.err == nil || c.err.Error() != c.want || errors.Is(c.err, ErrTaken) != c.taken {
			t.Errorf("%s:\ngot  %v\nwant %s", name, c.err, c.want)
		}
	}

	unreserved := held[0].DeepCopy()
	unreserved.Status.ReservedFor = nil
	unreserved.Status.Allocation.AllocationTimestamp = &metav1.Time{}
	if err := grant(unreserved, "n1", 2); err != nil {
		t.Errorf("a reservation that was lost is made again: got %v", err)
	}
}

// TestOddAllocations: what others wrote is read to the safe side, and said.
func TestOddAllocations(t *testing.T) {
	known := func(node, device string) (sched.Device, bool) {
		return sched.Device{Name: device, MemoryMiB: 100, ComputeMilli: 1000}, node == "n1"
	}
	whole := fixed(100, 1000)
	for name, c := range map[string]struct {
		edit func(*resourcev1.DeviceAllocationResult)
		want []sched.Share
		err  string
	}{
		"as written": {func(*resourcev1.DeviceAllocationResult) {}, []sched.Share{fixed(10, 20)}, ""},
		"not whole MiB": {func(a *resourcev1.DeviceAllocationResult) {
			a.Results[0].ConsumedCapacity["memory"] = resource.MustParse("1")
		}, []sched.Share{fixed(1, 20)}, ""},
		"without amounts": {func(a *resourcev1.DeviceAllocationResult) {
			a.Results[0].ConsumedCapacity = nil
		}, []sched.Share{whole}, "device gpu-0 has no consumedCapacity memory"},
		"negative": {func(a *resourcev1.DeviceAllocationResult) {
			a.Results[0].ConsumedCapacity["compute"] = resource.MustParse("-1")
		}, []sched.Share{whole}, "device gpu-0 has consumedCapacity compute -1"},
		"another driver's": {func(a *resourcev1.DeviceAllocationResult) {
			a.Results[0].Driver = "nic.example.com"
		}, nil, ""},
		"for administration": {func(a *resourcev1.DeviceAllocationResult) {
			a.Results[0].AdminAccess = new(true)
		}, nil, ""},
		"unreadable limits": {func(a *resourcev1.DeviceAllocationResult) {
			a.Config = []resourcev1.DeviceAllocationConfiguration{{DeviceConfiguration: opaque(ShareLimitsKind)}}
		}, []sched.Share{fixed(10, 20)}, "the allocation's ShareLimits cannot be read"},
		"limits under requests": {func(a *resourcev1.DeviceAllocationResult) {
			l := ShareLimits{Kind: ShareLimitsKind, Devices: map[string]Limit{"gpu-0": {}}}
			a.Config = []resourcev1.DeviceAllocationConfiguration{{DeviceConfiguration: opaque(l)}}
		}, []sched.Share{fixed(10, 20)}, ""},
		"two nodes": {func(a *resourcev1.DeviceAllocationResult) {
			other := *a.Results[0].DeepCopy()
			other.Pool, other.Device = "n2", "gpu-7"
			a.Results = append(a.Results, other)
		}, []sched.Share{fixed(10, 20)}, "device gpu-7 is of node n2, the others of n1"},
	} {
		t.Run(name, func(t *testing.T) {
			claim := claimOf(ask.Shape{Devices: 1}, "c0")
			claim.Status.Allocation = Allocation(claim, "n1", []sched.Share{{Device: "gpu-0", MemoryMiB: 10, ComputeMilli: 20}})
			c.edit(&claim.Status.Allocation.Devices)
			got, ok, err := Held(claim, known)
			if !cmp.Equal(got.Devices, c.want) || ok != (len(c.want) > 0) {
				t.Errorf("got %+v, %v; want %+v", got.Devices, ok, c.want)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got error %v; want %q in it", err, c.err)
			}
		})
	}
	if _, ok, err := Held(claimOf(ask.Shape{Devices: 1}, "c0"), nil); ok || err != nil {
		t.Errorf("a claim without allocation holds something: %v, %v", ok, err)
	}
}
