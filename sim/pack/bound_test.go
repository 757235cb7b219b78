package pack_test

import (
	"math"
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
				if moves > 0 && (rule != sched.Dense || testing.Short()) {
					continue // moves take their time
				}
				r := play(t, c, pack.Options{Rule: rule, MovesEach: moves})
				for _, at := range []int{100, 130} {
					for _, load := range []int{80, 95, 100} {
						if most := c.Bound(load, r.Allocation[load], at); r.Allocation[at] > most {
							t.Errorf("%s gives out %.2f%% of %s at %d%%, having given out %.2f%% at %d%%; the bound is %.2f%%",
								rule, r.Allocation[at], list, at, r.Allocation[load], load, most)
						}
					}
				}
			}
		}
	}
}

// Where nothing has to be given out before, the bound is the published one, which
// is of the last arrivals and not of the mean.
func TestBoundIsAsPublished(t *testing.T) {
	for _, x := range []struct {
		list string
		at   int
		want float64
	}{
		{"default", 100, 96.91}, {"default", 130, 99.88}, {"gpushare40", 130, 99.23}, {"gpushare100", 130, 91.58},
	} {
		if got := draw(t, x.list, 42).Bound(80, 0, x.at); math.Abs(got-x.want) > 0.03 {
			t.Errorf("the bound of %s at %d is %.3f%%, published is %.2f%%", x.list, x.at, got, x.want)
		}
	}
}

// The bound is what can be had where sizes are all that matters: each part that
// was accepted costs what nobody can use beside it.
func TestBoundIsSharp(t *testing.T) {
	c := &pack.Case{Milli: 10_000}
	for _, size := range []int64{810, 1000} {
		for range 10 {
			c.Pods = append(c.Pods, openb.Pod{GPUs: 1, GPUMilli: size})
		}
	}
	for _, x := range []struct{ given, want float64 }{{81, 81}, {40.5, 90.5}, {0, 100}} {
		if got := c.Bound(81, x.given, 181); math.Abs(got-x.want) > 1e-6 {
			t.Errorf("who gave out %v%% early gives out at most %v%%, want %v%%", x.given, got, x.want)
		}
	}
}

// The bars that were set for moves cannot be met by who is not worse than FGD
// before: FGD gives out 94.90% of the default list at 95%, and all that is asked
// for of gpushare100 at 80%.
func TestBarsOutOfReach(t *testing.T) {
	for _, x := range []struct {
		list  string
		load  int
		given float64
		at    int
		bar   float64
	}{
		{"default", 95, 94.90, 100, 96.8},
		{"default", 95, 94.90, 130, 99.0},
		{"gpushare100", 80, 79.99, 130, 90.5},
	} {
		sum := 0.0
		for seed := range int64(seeds) {
			sum += draw(t, x.list, 42+seed).Bound(x.load, x.given, x.at)
		}
		if most := sum / seeds; most > x.bar-0.2 {
			t.Errorf("%s: who gives out %.2f%% at %d%% gives out at most %.2f%% at %d%%; is the bar of %.1f%% within reach?",
				x.list, x.given, x.load, most, x.at, x.bar)
		} else {
			t.Logf("%s: %.2f%% at %d%%: at most %.2f%% at %d%%", x.list, x.given, x.load, most, x.at)
		}
	}
}

const seeds = 10
