package scale_test

import (
	"math"
	"testing"
	"time"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/scale"
)

func run(t *testing.T, o scale.Options) *scale.Result {
	t.Helper()
	r, err := scale.Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ticks is a clock that goes on by a microsecond each time it is read.
func ticks() func() time.Time {
	now := time.Unix(0, 0)
	return func() time.Time { now = now.Add(time.Microsecond); return now }
}

// The cluster gets as full as it is told to, one decision an arrival and an end.
func TestKeepsTheClusterFull(t *testing.T) {
	for _, uniform := range []bool{false, true} {
		o := scale.Options{
			Nodes: 40, Uniform: uniform, Jobs: 2000, Load: 80, Owners: 4, Rule: sched.Dense, Seed: 1, Now: ticks(),
		}
		r := run(t, o)
		if r.Started < 1900 || r.Decisions <= r.Jobs || r.GPUs < 80 {
			t.Errorf("uniform %v: %+v: want nearly all of 2000 jobs started, and a decision for each that ended too", uniform, *r)
		}
		if r.P50 < 1 || r.P99 < r.P50 || r.Seconds <= 0 || r.WallSeconds < r.Seconds {
			t.Errorf("uniform %v: times do not go together: %+v", uniform, *r)
		}
		o.Now = ticks()
		if again := run(t, o); again.Started != r.Started || again.Evicted != r.Evicted || again.Decisions != r.Decisions {
			t.Errorf("uniform %v: one seed gives %+v and %+v", uniform, *r, *again)
		}
	}
}

// The slope is that of the logarithms.
func TestSlope(t *testing.T) {
	var rs []*scale.Result
	for _, n := range []int{1250, 2500, 5000, 10000} {
		rs = append(rs, &scale.Result{Nodes: n, P50: 3 * math.Sqrt(float64(n)), Mean: 7})
	}
	if x := scale.Slope(rs, func(r *scale.Result) float64 { return r.P50 }); math.Abs(x-0.5) > 1e-9 {
		t.Errorf("the slope of a square root is %g, want 0.5", x)
	}
	if x := scale.Slope(rs, func(r *scale.Result) float64 { return r.Mean }); math.Abs(x) > 1e-9 {
		t.Errorf("the slope of a constant is %g, want 0", x)
	}
}
