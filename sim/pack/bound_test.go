package pack_test

import (
	"testing"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/openb"
	"github.com/weir-gpu/weir/sim/pack"
)

// No rule exceeds the bound that follows from what it gave out before.
func TestNoRuleExceedsTheBound(t *testing.T) {
	for _, list := range []string{"default", "gpushare100"} {
		c := draw(t, list, 42)
		for _, rule := range sched.Rules {
			for _, moves := range []int{0, 3} {
				if moves > 0 && (rule != sched.Dense || list != "default" || testing.Short()) {
					continue // moves take their time
				}
				r := play(t, c, pack.Options{Rule: rule, MovesEach: moves})
				for _, load := range []int{80, 95, 100, 130} {
					if most := c.Bound(load, r.Allocation[load]); r.Allocation[130] > most {
						t.Errorf("%s gives out %.2f%% of %s, having given out %.2f%% at %d%%; the bound is %.2f%%",
							rule, r.Allocation[130], list, r.Allocation[load], load, most)
					}
				}
			}
		}
	}
}

// The bound is what can be had where holes are all that is lost, and says more
// the more was given out.
func TestBoundIsReached(t *testing.T) {
	nodes := []openb.Node{{Name: "a", GPUs: 10, Model: "T4"}}
	pods := []openb.Pod{{Name: "a", GPUs: 1, GPUMilli: 810}}
	c, err := pack.Draw(nodes, pods, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := play(t, c, pack.Options{Rule: sched.Dense})
	if got, want := r.Allocation[81], c.Bound(81, r.Allocation[81]); got != 81 || want != 81 {
		t.Errorf("%v%% are given out, the bound is %v%%, want 81%% twice", got, want)
	}
	if most := c.Bound(81, 0); most != 100 {
		t.Errorf("who refused all can fill all, the bound is %v%%", most)
	}
}

// Who gives out 96.8% of the default list at 100% has no way to 99% at 130%.
func TestFullEarlyIsNotFullerLater(t *testing.T) {
	for seed := range int64(10) {
		c := draw(t, "default", 42+seed)
		if most := c.Bound(100, 96.8); most > 98 || most < 97 {
			t.Errorf("seed %d: the bound is %.2f%%", 42+seed, most)
		}
	}
}
