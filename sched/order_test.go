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

// TestNobodyTakesTwiceInTheSameBreath lets work that has no right to stop
// anybody, but comes first, take the place for which somebody was stopped a
// moment ago: a second one must not stop for the same pod before the first left.
func TestNobodyTakesTwiceInTheSameBreath(t *testing.T) {
	none := Amount{CPU: Unbounded, Memory: Unbounded}
	e := New(Config{})
	apply := func(evs ...Event) {
		for _, ev := range evs {
			if err := e.Apply(ev); err != nil {
				t.Fatal(err)
			}
		}
	}
	var devices []Device
	for _, name := range []string{"gpu-0", "gpu-1", "gpu-2", "gpu-3"} {
		devices = append(devices, Device{Name: name, Model: "H100", MemoryMiB: 80_000, ComputeMilli: 1000})
	}
	apply(
		NodeSet{Node: Node{Name: "n1", Devices: devices, Capacity: Resources{Pods: 3}}}, // a GPU is free, no pod
		OwnerSet{Owner: Owner{Name: "borrower", Pools: map[string]OwnerPool{DefaultPool: {Quota: none, Limit: NoLimit}}}},
		OwnerSet{Owner: Owner{Name: "owed", Pools: map[string]OwnerPool{DefaultPool: {Quota: NoLimit, Limit: NoLimit}}}},
	)
	submit := func(id, owner string, priority int32, ask Ask, pods ...string) {
		apply(WorkloadSet{Workload: Workload{
			ID: id, Owner: owner, Priority: priority, Preemptible: true, Min: len(pods), Submitted: e.now + 1}})
		for _, pod := range pods {
			apply(PodSet{Workload: id, Pod: Pod{ID: pod, Ask: ask}})
		}
	}
	gpu := Ask{Devices: 1}
	submit("gang", "borrower", 50, gpu, "gang-0", "gang-1")
	submit("single", "borrower", 50, gpu, "single-0")
	if ds := e.Decide(1000); len(ds) != 3 {
		t.Fatalf("decided %+v; want three starts", ds)
	}
	submit("without", "owed", 100, Ask{}, "without-0")
	submit("with", "owed", 50, gpu, "with-0")
	ds := e.Decide(2000)
	if len(ds) != 1 || ds[0].Action != Evict || ds[0].Pod != "single-0" {
		t.Errorf("decided %+v; want single-0 evicted, and nobody else", ds)
	}
}
