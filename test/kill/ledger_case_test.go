package kill

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gpu/weir/kube/ask"
)

// The guard has to see what it is there for.
func TestLedgerSeesOverGrants(t *testing.T) {
	capacity := map[place]int64{
		{"n1", ask.WholeGPU}:                  2000,
		{"n2/gpu-0", ask.CapacityMemory}:      100,
		{"n2/gpu-0", ask.CapacityCompute}:     1000,
		{"n1", string(corev1.ResourcePods)}:   110_000,
		{"n1", string(corev1.ResourceMemory)}: 1 << 40,
	}
	pod := func(gpus string) map[place]int64 {
		p := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{}}}}
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{ask.WholeGPU: resource.MustParse(gpus)}
		return podHolds(p)
	}
	claim := func(memory string) map[place]int64 {
		r := resourcev1.DeviceRequestAllocationResult{Pool: "n2", Device: "gpu-0"}
		if memory != "" {
			r.ConsumedCapacity = map[resourcev1.QualifiedName]resource.Quantity{
				ask.CapacityMemory: resource.MustParse(memory), ask.CapacityCompute: resource.MustParse("500")}
		}
		c := &resourcev1.ResourceClaim{}
		c.Status.Allocation = &resourcev1.AllocationResult{}
		c.Status.Allocation.Devices.Results = []resourcev1.DeviceRequestAllocationResult{r}
		holds, err := claimHolds(c, capacity)
		if err != nil {
			t.Fatal(err)
		}
		return holds
	}
	for _, c := range []struct {
		name  string
		holds []map[place]int64
		want  string // of the last; the others are in order
	}{
		{"a full node", []map[place]int64{pod("1"), pod("1")}, ""},
		{"a GPU granted twice", []map[place]int64{pod("1"), pod("1"), pod("1")}, "of n1: 3000 are granted of 2000"},
		{"two halves", []map[place]int64{claim("50"), claim("50")}, ""},
		{"too much memory", []map[place]int64{claim("50"), claim("51")}, "memory of n2/gpu-0: 101 are granted of 100"},
		{"too much compute", []map[place]int64{claim("1"), claim("1"), claim("1")}, "compute of n2/gpu-0: 1500"},
		{"a share without an amount", []map[place]int64{claim("50"), claim("")}, "memory of n2/gpu-0: 150"},
		{"a share that was given back", []map[place]int64{claim(""), nil}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger(capacity)
			for i, holds := range c.holds {
				err := l.set(string(rune('a'+i)), holds)
				switch last := i == len(c.holds)-1; {
				case err == nil && last && c.want != "":
					t.Errorf("nothing is said of it")
				case err != nil && (!last || c.want == "" || !strings.Contains(err.Error(), c.want)):
					t.Errorf("got %v, want %q", err, c.want)
				}
			}
		})
	}
}
