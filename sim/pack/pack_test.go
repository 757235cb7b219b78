package pack_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/openb"
	"github.com/weir-gpu/weir/sim/pack"
)

// draw makes a case of the embedded trace.
func draw(t *testing.T, list string, seed int64) *pack.Case {
	t.Helper()
	nodes, err := openb.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	pods, err := openb.PodList(list)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pack.Draw(nodes, pods, seed)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func play(t *testing.T, c *pack.Case, o pack.Options) *pack.Result {
	t.Helper()
	r, err := c.Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mean is the mean over the published seeds of what was given out.
func mean(t *testing.T, list, rule string, loads ...int) map[int]float64 {
	t.Helper()
	const first, seeds = 42, 10
	out := map[int]float64{}
	for seed := range int64(seeds) {
		r := play(t, draw(t, list, first+seed), pack.Options{Rule: rule})
		for _, load := range loads {
			out[load] += r.Allocation[load] / seeds
		}
	}
	return out
}

// Before anything is claimed, the published figures have to come out.
func TestPublishedFiguresComeOut(t *testing.T) {
	if testing.Short() {
		t.Skip("thirty simulations")
	}
	for _, x := range []struct {
		rule string
		at   map[int]float64
	}{
		{sched.FGD, map[int]float64{130: 95.39, 100: 95.23}},
		{sched.BestFit, map[int]float64{130: 93.08, 100: 92.86}},
		{sched.DotProd, map[int]float64{130: 90.85, 100: 90.62}},
	} {
		got := mean(t, "default", x.rule, 100, 130)
		for load, want := range x.at {
			if math.Abs(got[load]-want) > 0.05 {
				t.Errorf("%s gives out %.3f%% at %d%%, published are %.2f%%", x.rule, got[load], load, want)
			}
		}
	}
}

// The dense rule gives out what it is said to, and never less than FGD.
func TestDenseIsDenser(t *testing.T) {
	if testing.Short() {
		t.Skip("twenty simulations")
	}
	loads := []int{80, 85, 90, 95, 100, 110, 120, 130}
	dense, fgd := mean(t, "default", sched.Dense, loads...), mean(t, "default", sched.FGD, loads...)
	for load, want := range map[int]float64{95: 94.9, 100: 96.2, 130: 96.3} {
		if dense[load] < want {
			t.Errorf("%.3f%% are given out at %d%%, want %.1f%%", dense[load], load, want)
		}
	}
	for _, load := range loads {
		if dense[load] < fgd[load] {
			t.Errorf("at %d%%, %.3f%% are given out, and %.3f%% by FGD", load, dense[load], fgd[load])
		}
	}
}

// What pods are like can be found out on the way.
func TestLearningIsNearlyAsGood(t *testing.T) {
	if testing.Short() {
		t.Skip("learning takes its time")
	}
	c := draw(t, "default", 42)
	told := play(t, c, pack.Options{Rule: sched.Dense})
	learned := play(t, c, pack.Options{Rule: sched.Dense, Learn: true})
	for _, load := range []int{95, 100, 130} {
		if told.Allocation[load]-learned.Allocation[load] > 0.2 {
			t.Errorf("at %d%%, %.3f%% are given out when learning, %.3f%% when told", load, learned.Allocation[load], told.Allocation[load])
		}
	}
}

// A case is drawn from its seed alone, asks for what it says, and ranks every
// node once.
func TestDraw(t *testing.T) {
	a, b, c := draw(t, "default", 42), draw(t, "default", 42), draw(t, "default", 43)
	if !slices.EqualFunc(a.Pods, b.Pods, func(x, y openb.Pod) bool { return x.Name == y.Name }) {
		t.Error("one seed gives two orders of pods")
	}
	if a.Pods[0].Name == c.Pods[0].Name && a.Pods[1].Name == c.Pods[1].Name {
		t.Error("two seeds give one order of pods")
	}
	if n := len(a.Pods); n < 10_793 || n > 10_866 {
		t.Errorf("%d pods come, published are 10793 to 10866", n)
	}
	asked := int64(0)
	for _, p := range a.Pods {
		asked += p.GPUs * p.GPUMilli
	}
	if per := float64(asked) / float64(a.Milli); per > 1.302 || per < 1.298 {
		t.Errorf("%.3f of all GPUs are asked for, want 1.3", per)
	}
	names := map[string]bool{}
	for _, n := range a.Nodes {
		names[n.Name] = true
	}
	if len(names) != 1213 {
		t.Errorf("%d nodes are ranked, want 1213", len(names))
	}
}

// Lists without GPUs are refused.
func TestNothingToPack(t *testing.T) {
	if _, err := pack.Draw(nil, []openb.Pod{{Name: "a", GPUs: 1, GPUMilli: 1000}}, 1); err == nil {
		t.Error("pods for no nodes are accepted")
	}
	if _, err := pack.Draw([]openb.Node{{Name: "n", GPUs: 8}}, []openb.Pod{{Name: "a", CPUMilli: 1}}, 1); err == nil {
		t.Error("pods without GPUs are accepted")
	}
	if _, err := draw(t, "default", 1).Run(pack.Options{Rule: "best"}); err == nil {
		t.Error("an unknown rule is accepted")
	}
}

// Moves make room, and nobody is lost by them.
func TestMoves(t *testing.T) {
	nodes := []openb.Node{{Name: "a", CPUMilli: 8000, MemoryMiB: 1000, GPUs: 2, Model: "T4"}}
	pods := []openb.Pod{
		{Name: "p1", GPUs: 1, GPUMilli: 500}, {Name: "p2", GPUs: 1, GPUMilli: 500}, {Name: "p3", GPUs: 1, GPUMilli: 500},
	}
	c, err := pack.Draw(nodes, pods, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := play(t, c, pack.Options{Rule: sched.Spread, MovesEach: 3})
	if r.Started != 4 {
		t.Errorf("%d pods started, want 4: half a GPU each, on two", r.Started)
	}
}

// A part finds room where a smaller one moves to another hole, and a pod that
// needs CPU where two change places: with moves all of these start.
func TestMovesMakeRoom(t *testing.T) {
	part := func(milli int64) openb.Pod { return openb.Pod{GPUs: 1, GPUMilli: milli} }
	whole := func(cpu int64) openb.Pod { return openb.Pod{GPUs: 1, GPUMilli: 1000, CPUMilli: cpu} }
	for name, c := range map[string]*pack.Case{
		"holes": {
			Nodes: []openb.Node{{Name: "a", GPUs: 2, Model: "T4"}},
			Pods:  []openb.Pod{part(500), part(300), part(600), part(500)},
		},
		"CPU": {
			Nodes: []openb.Node{{Name: "a", GPUs: 2, CPUMilli: 8000, Model: "T4"}, {Name: "b", GPUs: 2, CPUMilli: 16000, Model: "T4"}},
			Pods:  []openb.Pod{whole(6000), whole(3000), whole(3000), whole(4000)},
		},
	} {
		for _, n := range c.Nodes {
			c.Milli += n.GPUs * 1000
		}
		for i := range c.Pods {
			c.Pods[i].Name = fmt.Sprint("p", i)
		}
		for _, moves := range []int{0, 1} {
			r := play(t, c, pack.Options{Rule: sched.Pack, MovesEach: moves})
			if want := 3 + moves; r.Started != want {
				t.Errorf("%s: %d of 4 pods start with %d moves each, want %d", name, r.Started, moves, want)
			}
		}
	}
}

// Moves add what they are said to, few are needed, and at no load is less given
// out than without.
func TestMovesAdd(t *testing.T) {
	if testing.Short() {
		t.Skip("moves take their time")
	}
	for list, want := range map[string]float64{"default": 0.05, "gpushare100": 0.02, "cpu250": 2} {
		c := draw(t, list, 42)
		without := play(t, c, pack.Options{Rule: sched.Dense})
		with := play(t, c, pack.Options{Rule: sched.Dense, MovesEach: pack.MovesEach})
		if got := with.Allocation[100] - without.Allocation[100]; got < want {
			t.Errorf("%s: moves add %.3f points at 100%%, want %.2f", list, got, want)
		}
		if per := 1000 * float64(with.Moves) / float64(with.Arrived); per >= 50 {
			t.Errorf("%s: %.1f moves per 1,000 pods, want less than 50", list, per)
		}
		for load := 80; load <= pack.Inflation; load++ {
			if with.Allocation[load] < without.Allocation[load]-0.005 {
				t.Errorf("%s: at %d%%, %.3f%% are given out, and %.3f%% without moves",
					list, load, with.Allocation[load], without.Allocation[load])
			}
		}
	}
}
