package sched_test

import (
	"testing"

	"github.com/weir-gpu/weir/sched"
)

// After a restart under a clock that was set back, what runs started in the
// future: its minimum run time counts from the first look at it.
func TestStartsInTheFutureCountFromNow(t *testing.T) {
	const minute, now = sched.Time(60_000), sched.Time(1_000_000_000)
	e := sched.New(sched.Config{})
	grant := sched.Grant{Node: "n", Devices: []sched.Share{
		{Device: "gpu-0", MemoryMiB: 1000, ComputeMilli: 1000, LimitMemoryMiB: 1000, LimitComputeMilli: 1000}}}
	owner := func(name string, quota int64) sched.Event {
		return sched.OwnerSet{Owner: sched.Owner{Name: name, Pools: map[string]sched.OwnerPool{
			sched.DefaultPool: {Quota: sched.Amount{GPU: quota}, Limit: sched.NoLimit}}}}
	}
	for _, ev := range []sched.Event{
		sched.NodeSet{Node: sched.Node{Name: "n", Capacity: sched.Resources{Pods: 9},
			Devices: []sched.Device{{Name: "gpu-0", MemoryMiB: 1000, ComputeMilli: 1000}}}},
		owner("borrower", 0),
		owner("lender", sched.GPU),
		sched.WorkloadSet{Workload: sched.Workload{ID: "lent", Owner: "borrower", Preemptible: true, MinRuntime: int64(10 * minute)}},
		sched.PodSet{Workload: "lent", Pod: sched.Pod{ID: "lent-0", Ask: sched.Ask{Devices: 1}}},
		sched.PodGranted{ID: "lent-0", Grant: grant, Since: now + 360*minute},
		sched.WorkloadSet{Workload: sched.Workload{ID: "claim", Owner: "lender", Preemptible: true}},
		sched.PodSet{Workload: "claim", Pod: sched.Pod{ID: "claim-0", Ask: sched.Ask{Devices: 1}}},
	} {
		if err := e.Apply(ev); err != nil {
			t.Fatal(err)
		}
	}
	if ds := e.Decide(now); len(ds) > 0 {
		t.Errorf("at once: %+v", ds)
	}
	if wake := e.Wake(); wake != now+10*minute {
		t.Errorf("it wants to be asked %d ms later, not 10 minutes", wake-now)
	}
	if ds := e.Decide(now + 10*minute); len(ds) != 1 || ds[0].Pod != "lent-0" {
		t.Errorf("after its minimum run time: %+v", ds)
	}
}
