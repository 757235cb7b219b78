package laws_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// TestContestsEnd plays histories in which everybody may take from everybody:
// far more is asked for than there is, of many sizes and priorities, and all
// kinds of resources are scarce. Taking turns for ever shows here, if anywhere.
func TestContestsEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := contests.Draw(t, "contest")
		w := laws.NewWorld(onlyOn{}, engine)
		defer mustReturn(w)()
		if b := w.Play(h); b != nil && b.Law == laws.Settles { // the others are TestLaws' to ask
			t.Fatalf("%v\n\nwhat happened:\n%s", b, strings.Join(w.Log, "\n"))
		}
	})
}

var contests = rapid.Custom(func(t *rapid.T) laws.History {
	pool := sched.Pool{Name: sched.DefaultPool, SurplusRuntime: surplusRuntimes.Draw(t, "surplus run time")}
	h := laws.History{Owners: owners(t), Pools: []sched.Pool{pool}}
	for i := range rapid.IntRange(1, 2).Draw(t, "nodes") {
		n := sched.Node{
			Name: "n" + string(rune('1'+i)), Pool: sched.DefaultPool,
			Capacity: sched.Resources{
				CPU:    rapid.SampledFrom([]int64{8_000, 4_000, 64_000}).Draw(t, "cpu"),
				Memory: 256 * gib,
				Pods:   rapid.SampledFrom([]int64{110, 3, 5}).Draw(t, "pods"),
			},
		}
		for d := range rapid.SampledFrom([]int{2, 4}).Draw(t, "devices") {
			n.Devices = append(n.Devices, sched.Device{
				Name: "gpu-" + string(rune('0'+d)), Model: "H100", MemoryMiB: 81_559, ComputeMilli: sched.WholeCompute,
			})
		}
		h.Nodes = append(h.Nodes, n)
	}
	h.Steps = rapid.SliceOfN(contenders, 6, 16).Draw(t, "steps")
	return h
})

var contenders = rapid.Custom(func(t *rapid.T) laws.Step {
	s := laws.Step{
		Act: rapid.SampledFrom([]laws.Act{
			laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Settle, laws.EndWork,
		}).Draw(t, "act"),
		Pick: rapid.IntRange(0, 63).Draw(t, "pick"),
	}
	if s.Act != laws.Arrive {
		return s
	}
	s.Work = sched.Workload{
		Owner:       rapid.SampledFrom([]string{"vision", "speech", "robots"}).Draw(t, "owner"),
		Kind:        sched.Train,
		Priority:    rapid.SampledFrom([]int32{50, 100, 0}).Draw(t, "priority"),
		Preemptible: true,
	}
	ask := rapid.SampledFrom([]sched.Ask{
		{Devices: 1},
		{Devices: 2},
		{Devices: 4},
		{Devices: 1, Part: sched.Part{Fraction: 500_000}},
		{Devices: 1, Part: sched.Part{Fraction: 333_333}},
		{Devices: 2, Part: sched.Part{Fraction: 500_000}},
	}).Draw(t, "ask")
	ask.CPU = rapid.SampledFrom([]int64{0, 1_000, 3_000}).Draw(t, "cpu")
	pods := rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "pods")
	s.Work.Min = rapid.IntRange(1, pods).Draw(t, "min")
	for range pods {
		s.Pods = append(s.Pods, ask)
	}
	return s
})
