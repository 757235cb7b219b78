package stage

import (
	"slices"
	"testing"

	"github.com/weir-gpu/weir/sched"
)

// What is evicted goes, and waits for a place anew, until there is one.
func TestStoppedWorkComesAgain(t *testing.T) {
	s := New(sched.Config{})
	owner := func(name string, gpus int64) sched.OwnerSet {
		return sched.OwnerSet{Owner: sched.Owner{Name: name, Pools: map[string]sched.OwnerPool{sched.DefaultPool: {
			Quota: sched.Amount{GPU: gpus * sched.GPU}, Limit: sched.NoLimit, Weight: 1}}}}
	}
	node := sched.Node{Name: "n", Capacity: sched.Resources{Pods: 10}}
	for _, name := range []string{"gpu-0", "gpu-1"} {
		node.Devices = append(node.Devices, sched.Device{Name: name, MemoryMiB: 1024, ComputeMilli: sched.WholeCompute})
	}
	check(t, s.Tell(sched.NodeSet{Node: node}, owner("borrower", 0), owner("lender", 2)))

	gang := gangOf("borrower", 2)
	check(t, s.Submit(gang))
	decided(t, s, 1, "start borrower-0", "start borrower-1")

	mine := gangOf("lender", 1)
	check(t, s.Submit(mine))
	decided(t, s, 2, "evict borrower-0", "evict borrower-1", "start lender-0")
	if waiting := s.Engine.Waiting(); !slices.Equal(waiting, []string{gang.ID}) {
		t.Errorf("%q wait, want the gang that was evicted", waiting)
	}

	check(t, s.EndPod(mine, "lender-0"))
	decided(t, s, 3, "start borrower-0", "start borrower-1")
	check(t, s.End(gang))
	decided(t, s, 4)
}

func gangOf(owner string, pods int) *Work {
	w := &Work{Workload: sched.Workload{ID: owner, Owner: owner, Preemptible: true, Min: pods}}
	for i := range pods {
		w.Pods = append(w.Pods, sched.Pod{ID: owner + "-" + string(rune('0'+i)), Ask: sched.Ask{Devices: 1}})
	}
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func decided(t *testing.T, s *Stage, now sched.Time, want ...string) {
	t.Helper()
	var got []string
	check(t, s.Decide(now, func(d *sched.Decision) error {
		got = append(got, string(d.Action)+" "+d.Pod)
		return nil
	}))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
}
