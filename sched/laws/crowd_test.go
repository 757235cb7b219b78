package laws_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// TestCrowdsKeepTheLaws plays histories in which much is moved: single pods of
// many sizes fill a few nodes, each of which has too little of something, and
// whoever fits nowhere may have others moved.
func TestCrowdsKeepTheLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := crowds.Draw(t, "crowd")
		w := laws.NewWorld(onlyOn{}, engine)
		defer mustReturn(w)()
		if b := w.Play(h); b != nil {
			t.Fatalf("%v\n\nwhat happened:\n%s", b, strings.Join(w.Log, "\n"))
		}
	})
}

var crowds = rapid.Custom(func(t *rapid.T) laws.History {
	h := laws.History{
		Pools: []sched.Pool{{
			Name:         sched.DefaultPool,
			GPUPlacement: rapid.SampledFrom([]string{sched.Pack, sched.Spread, sched.Dense}).Draw(t, "rule"),
		}},
		Owners: []sched.Owner{{Name: "vision", Pools: map[string]sched.OwnerPool{
			sched.DefaultPool: {Quota: sched.NoLimit, Limit: sched.NoLimit, Weight: 1},
		}}},
	}
	for i := range rapid.IntRange(2, 3).Draw(t, "nodes") {
		n := sched.Node{
			Name: "n" + string(rune('1'+i)), Pool: sched.DefaultPool, Counted: oneIn(t, 6, "counted"),
			Capacity: sched.Resources{
				CPU: rapid.SampledFrom([]int64{8_000, 12_000, 16_000}).Draw(t, "cpu"), Memory: 256 * gib, Pods: 110,
			},
		}
		for d := range rapid.SampledFrom([]int{2, 1, 3}).Draw(t, "devices") {
			n.Devices = append(n.Devices, sched.Device{
				Name: "gpu-" + string(rune('0'+d)), Model: "H100", MemoryMiB: 81_559, ComputeMilli: sched.WholeCompute,
			})
		}
		h.Nodes = append(h.Nodes, n)
	}
	h.Steps = rapid.SliceOfN(comers, 8, 20).Draw(t, "steps")
	return h
})

var comers = rapid.Custom(func(t *rapid.T) laws.Step {
	s := laws.Step{
		Act: rapid.SampledFrom([]laws.Act{
			laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Wait, laws.Settle,
			laws.EndWork, laws.EndWork, laws.FailBind, laws.Restart, laws.Cordon, laws.Suspend,
		}).Draw(t, "act"),
		Pick: rapid.IntRange(0, 63).Draw(t, "pick"),
	}
	switch s.Act {
	case laws.Wait:
		s.Millis = rapid.SampledFrom([]int64{10_000, 700_000}).Draw(t, "millis")
	case laws.Arrive:
		s.Work = sched.Workload{Owner: "vision", Kind: sched.Train, Priority: 50, Preemptible: true, Min: 1, Moves: 2}
		ask := rapid.SampledFrom([]sched.Ask{
			{Devices: 1},
			{Devices: 1, Part: sched.Part{Fraction: 500_000}},
			{Devices: 1, Part: sched.Part{Fraction: 300_000}},
			{Devices: 1, Part: sched.Part{Fraction: 700_000}},
			{Devices: 2, Part: sched.Part{Fraction: 400_000}},
			{Devices: 1, Part: sched.Part{MemoryMiB: 20_000}},
			{Devices: 2},
			{},
		}).Draw(t, "ask")
		ask.CPU = rapid.SampledFrom([]int64{1_000, 3_000, 6_000}).Draw(t, "cpu")
		s.Pods = []sched.Ask{ask}
	}
	return s
})
