package replay

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/trace"
)

// What divide promises, of any tenants of any pool.
func TestDivide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gpus := rapid.Int64Range(0, 1000).Draw(t, "gpus")
		of := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) claimant {
			few := rapid.OneOf(rapid.Int64Range(0, 4), rapid.Int64Range(0, 2000))
			return claimant{few.Draw(t, "demand"), few.Draw(t, "quota"), few.Draw(t, "weight")}
		}), 1, 12).Draw(t, "tenants")
		due := divide(gpus, of)
		var sum, demand, owed int64
		for i, c := range of {
			if due[i] < 0 || due[i] > c.demand*grain {
				t.Errorf("%+v is due %d grains", c, due[i])
			}
			sum, demand, owed = sum+due[i], demand+c.demand, owed+min(c.demand, c.quota)
		}
		if sum != min(gpus, demand)*grain {
			t.Errorf("%d grains are due of %d GPUs and a demand of %d", sum, gpus, demand)
		}
		for i, c := range of {
			if owed <= gpus && due[i] < min(c.demand, c.quota)*grain {
				t.Errorf("%+v is due %d grains, less than its quota", c, due[i])
			}
			for j, x := range of {
				if due[i] < c.demand*grain {
					envies(t, c, x, due[i], due[j], owed <= gpus)
				}
			}
		}
	})
}

// envies checks that c, who could use more, has no reason to envy x: by its
// weight, x is due no more beyond its quota than c is. Where quotas are more
// than the pool, it is due no more by its quota. Rounding may cost some grains.
func envies(t *rapid.T, c, x claimant, mine, its int64, quotas bool) {
	owed, xOwed := min(c.demand, c.quota)*grain, min(x.demand, x.quota)*grain
	a, b, wa, wb := mine-owed, its-xOwed, c.weight, x.weight
	switch {
	case !quotas && b > 0:
		t.Errorf("%+v is due more than its quota, and not everybody is due that", x)
	case !quotas && a == 0:
		return // has its quota
	case !quotas:
		a, b, wa, wb = mine, its, c.quota, x.quota
	case wa == 0 && wb == 0:
		wa, wb = 1, 1
	case wb == 0 && b > 0:
		t.Errorf("%+v could use more, and %+v of weight 0 is due %d", c, x, its)
	case wa == 0:
		return
	}
	if b*wa > a*wb+16*(wa+wb) {
		t.Errorf("%+v is due %d and could use more; %+v is due %d", c, mine, x, its)
	}
}

// Cases that can be done in the head.
func TestDivideByHand(t *testing.T) {
	for name, c := range map[string]struct {
		gpus int64
		of   []claimant
		want []int64 // in grains
	}{
		"enough for all":         {100, []claimant{{30, 0, 1}, {40, 10, 0}}, []int64{30 * grain, 40 * grain}},
		"equal parts":            {100, []claimant{{300, 0, 1}, {400, 0, 1}}, []int64{50 * grain, 50 * grain}},
		"what one does not need": {100, []claimant{{10, 0, 1}, {400, 0, 1}, {400, 0, 2}}, []int64{10 * grain, 30 * grain, 60 * grain}},
		"quota first":            {100, []claimant{{90, 80, 1}, {90, 0, 1}}, []int64{90 * grain, 10 * grain}},
		"quotas above the pool":  {90, []claimant{{90, 80, 1}, {90, 40, 9}}, []int64{60 * grain, 30 * grain}},
		"weight 0 comes last":    {100, []claimant{{90, 0, 3}, {90, 0, 0}, {90, 0, 0}}, []int64{90 * grain, 5 * grain, 5 * grain}},
	} {
		got := divide(c.gpus, c.of)
		for i, want := range c.want {
			if got[i] != want {
				t.Errorf("%s: tenant %d is due %d, want %d", name, i, got[i], want)
			}
		}
	}
}

// crowded is two tenants who both want all GPUs for hours.
func crowded(t *testing.T) []trace.Job {
	text := ""
	for i := range 300 {
		text += fmt.Sprintf("a %d 600 1\nb %d 600 1\n", i/100, 1800+i/100)
	}
	return jobs(t, text)
}

// played runs the plan of which the engine is told, and measures by what was
// promised.
func played(t *testing.T, told, promised Plan) *Result {
	t.Helper()
	history := crowded(t)
	r := newRun(history, told, Options{})
	r.tally = newTally(&promised, history)
	got, err := r.play(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// An engine that does what was promised has a high index; one that starves
// somebody has not. The fault is planted by telling the engine of another plan.
func TestJainSeesStarvation(t *testing.T) {
	even := pool(8, nil).Swapping(&DefaultSwap).Dividing(sched.ByShare)
	if r := played(t, even, even); r.Jain < 0.999 {
		t.Errorf("where both have the same, the index is %v: %+v", r.Jain, r.Tenants)
	}
	greedy := pool(8, nil).Swapping(&DefaultSwap).Dividing(sched.ByShare)
	greedy.Owners[0].Weight = 3
	if r := played(t, greedy, even); r.Jain > 0.95 || r.Tenants[1].Served > 0.8 || r.Tenants[0].Served < 1.2 {
		t.Errorf("where one has three parts of four, the index is %v: %+v", r.Jain, r.Tenants)
	}
	if r := played(t, greedy, greedy); r.Jain < 0.999 {
		t.Errorf("where that was promised, the index is %v: %+v", r.Jain, r.Tenants)
	}
	if r := played(t, even.With(map[string]int64{"b": 7}), even); r.Jain > 0.95 {
		t.Errorf("where one has a quota that was not promised, the index is %v: %+v", r.Jain, r.Tenants)
	}
	if r := played(t, even, even.With(map[string]int64{"a": 7})); r.Jain > 0.95 {
		t.Errorf("where one is denied its quota, the index is %v: %+v", r.Jain, r.Tenants)
	}
}
