package replay

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/trace"
	_ "github.com/weir-gpu/weir/test/seed"
)

// history draws jobs of three tenants.
func history(t *rapid.T) []trace.Job {
	var out []trace.Job
	for i := range rapid.IntRange(1, 40).Draw(t, "jobs") {
		out = append(out, trace.Job{
			ID:       fmt.Sprint(i),
			Tenant:   rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant"),
			GPUs:     rapid.SampledFrom([]int{1, 1, 1, 2, 4, 8, 12}).Draw(t, "gpus"),
			Submit:   start.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "submit")) * time.Second),
			Duration: time.Duration(rapid.IntRange(0, 5000).Draw(t, "duration")) * time.Second,
		})
	}
	trace.Sort(out)
	return out
}

// What holds for the figures of any history under any plan.
func TestFigures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := history(t)
		from, until := all[0].Submit, all[len(all)-1].Submit
		static := Static(Demands(all, from, until), sizing, 4, rapid.Bool().Draw(t, "topology"))
		plan := static
		if rapid.Bool().Draw(t, "shared") {
			plan = Shared(static, int64(rapid.IntRange(3, 12).Draw(t, "nodes"))*4)
			left, quotas := plan.GPUs, map[string]int64{}
			for _, o := range plan.Owners {
				quotas[o.Name] = rapid.Int64Range(0, left).Draw(t, "quota")
				left -= quotas[o.Name]
			}
			plan = plan.With(quotas)
			if rapid.Bool().Draw(t, "swap") {
				plan = plan.Swapping(&Swap{
					Cost: 10 * time.Second, States: rapid.Int64Range(0, 2).Draw(t, "states"),
					Residency: time.Duration(rapid.IntRange(10, 600).Draw(t, "residency")) * time.Second,
				})
			}
			if rapid.Bool().Draw(t, "even") {
				plan = plan.Dividing(sched.ByShare)
			}
		}
		r := must(t, all, plan)
		if again := must(t, all, plan); !reflect.DeepEqual(r, again) {
			t.Fatal("the same history gave two results")
		}
		checkSums(t, all, plan, r)
		if plan.Apart && (r.Evictions > 0 || r.Lost > 0) {
			t.Errorf("%d evictions where each has its own", r.Evictions)
		}
	})
}

func must(t *rapid.T, all []trace.Job, p Plan) *Result {
	r, err := Run(t.Context(), all, p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkSums checks what sums up over tenants, and the bounds of what does not.
func checkSums(t *rapid.T, all []trace.Job, plan Plan, r *Result) {
	var jobs, evictions int
	var hours, lost, wait, work float64
	for _, x := range r.Tenants {
		jobs, evictions = jobs+x.Jobs, evictions+x.Evictions
		hours, lost, wait = hours+x.GPUHours, lost+x.LostHours, wait+x.Wait.Mean*float64(x.Jobs)
		if x.Served < 0 || x.Due < 0 || x.Wait.Median > x.Wait.P99 || x.Wait.Mean < 0 || x.Completion.Mean < x.Wait.Mean {
			t.Errorf("figures of %s are %+v", x.Name, x)
		}
	}
	for _, j := range all {
		work += float64(j.GPUs) * j.Duration.Hours()
	}
	near := func(what string, a, b float64) {
		if math.Abs(a-b) > 1e-6*math.Max(1, math.Abs(a)) {
			t.Errorf("%s is %v, want %v", what, a, b)
		}
	}
	near("jobs", float64(jobs), float64(len(all)))
	near("jobs of all", float64(r.Jobs), float64(len(all)))
	near("evictions", float64(evictions), float64(r.Evictions))
	near("GPU hours", hours, work)
	near("GPU hours of all", r.GPUHours, work)
	near("lost", lost, r.LostHours)
	near("wait", wait, r.Wait.Mean*float64(r.Jobs))
	if r.Utilisation < 0 || r.Utilisation > 1 || r.Jain < 1/float64(len(plan.Owners))-1e-9 || r.Jain > 1+1e-9 {
		t.Errorf("utilisation %v, Jain %v", r.Utilisation, r.Jain)
	}
	if evictions == 0 && lost != 0 {
		t.Errorf("%v GPU hours lost without an eviction", lost)
	}
}

// In a pool that is never full nobody waits, whatever the quotas.
func TestRoomForAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := history(t)
		sum := int64(0)
		for _, j := range all {
			sum += whole(int64(j.GPUs), 4)
		}
		static := Static(Demands(all, all[0].Submit, all[len(all)-1].Submit), sizing, 4, rapid.Bool().Draw(t, "topology"))
		if r := must(t, all, Shared(static, sum)); r.Wait.P99 != 0 || r.Evictions != 0 || r.Jain != 1 {
			t.Errorf("waits of %v, %d evictions, Jain %v", r.Wait, r.Evictions, r.Jain)
		}
	})
}
