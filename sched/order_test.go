package sched

import (
	"reflect"
	"testing"
)

// TestNodesAppearInAnyOrder lets work that is stopped at its owner's limit look
// for room on nodes that charge it differently: which appeared first must not
// matter, and where it would be charged too much must not hide the other.
func TestNodesAppearInAnyOrder(t *testing.T) {
	device := func(name string, memory int64) Device {
		return Device{Name: name, Model: "H100", MemoryMiB: memory, ComputeMilli: 1000}
	}
	small := NodeSet{Node: Node{Name: "n1", Devices: []Device{device("gpu-0", 40_000), device("gpu-1", 40_000)}}}
	large := NodeSet{Node: Node{Name: "n2", Devices: []Device{device("gpu-0", 80_000), device("gpu-1", 80_000)}}}
	limit := NoLimit
	limit.GPU = GPU
	owner := Owner{Name: "vision", Pools: map[string]OwnerPool{DefaultPool: {Quota: NoLimit, Limit: limit}}}
	half := Ask{Devices: 1, Part: Part{Fraction: 500_000}}
	memory := Ask{Devices: 1, Part: Part{MemoryMiB: 30_000}} // 0.75 of a device of n1, 0.375 of one of n2

	decide := func(nodes ...Event) []Decision {
		e := New(Config{})
		for _, ev := range append(nodes,
			OwnerSet{Owner: owner},
			WorkloadSet{Workload: Workload{ID: "low", Owner: "vision", Priority: 50, Preemptible: true}},
			WorkloadSet{Workload: Workload{ID: "high", Owner: "vision", Priority: 100, Preemptible: true}},
			PodSet{Workload: "low", Pod: Pod{ID: "low-0", Ask: half}},
			PodSet{Workload: "high", Pod: Pod{ID: "high-0", Ask: half}},
			PodGranted{ID: "low-0", Grant: Grant{Node: "n1", Devices: []Share{
				{Device: "gpu-0", MemoryMiB: 20_000, ComputeMilli: 500}}}},
			PodGranted{ID: "high-0", Grant: Grant{Node: "n1", Devices: []Share{
				{Device: "gpu-0", MemoryMiB: 20_000, ComputeMilli: 500}}}},
			PodSet{Workload: "high", Pod: Pod{ID: "high-1", Ask: memory}},
		) {
			if err := e.Apply(ev); err != nil {
				t.Fatal(err)
			}
		}
		return e.Decide(1000)
	}
	got := decide(small, large)
	if len(got) != 2 || got[0].Action != Evict || got[1].Action != Start || got[1].Grant.Node != "n2" {
		t.Errorf("decided %+v; want low-0 evicted and high-1 started on n2", got)
	}
	if other := decide(large, small); !reflect.DeepEqual(got, other) {
		t.Errorf("when n2 appeared first, decided %+v", other)
	}
}
