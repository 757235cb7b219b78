package replay

import (
	"math"
	"testing"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/trace"
)

// published are the mean waits (s) of tenants under the static plan, as an
// independent simulator has them.
var published = map[string]float64{
	"0e4a51": 3302, "103959": 2646, "11cb48": 1068, "2869ce": 2988, "51b7ef": 0, "6214e9": 5534, "6c71a0": 2173,
	"795a4c": 0, "7f04ca": 2, "925e2b": 0, "b436b2": 3127, "e13805": 4638, "ed69ec": 4194, "ee9e8c": 1071,
}

func philly(t *testing.T) Study {
	t.Helper()
	if testing.Short() || raced {
		t.Skip("plays 64,933 jobs")
	}
	jobs, err := trace.Philly()
	if err != nil {
		t.Fatal(err)
	}
	return Study{Jobs: jobs, From: trace.PhillyFrom, PerNode: 8}
}

func answer(t *testing.T, s Study) *Report {
	t.Helper()
	r, err := s.Answer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The static plan on the Philly trace gives what others found: without this no
// other figure means anything.
func TestPhillyStatic(t *testing.T) {
	s := philly(t)
	s.Plan = "static"
	r := answer(t, s)
	near := func(what string, got, want, by float64) {
		if math.Abs(got-want) > by {
			t.Errorf("%s is %v, published is %v", what, got, want)
		}
	}
	near("GPUs", float64(r.GPUs), 1232, 0)
	near("jobs", float64(r.Jobs), 64_933, 0)
	near("utilisation", 100*r.Utilisation, 30.4, 0.05)
	near("mean wait", r.Wait.Mean, 3548, 0.5)
	near("p99 wait", r.Wait.P99, 32_490, 10)
	for name, want := range published {
		near("mean wait of "+name, r.tenant(name).Wait.Mean, want, 0.5)
	}
}

// With swapping, and the weights that the adviser finds, half of the GPUs leave
// nobody worse, and jobs wait a tenth as long.
func TestPhillySwap(t *testing.T) {
	s := philly(t)
	s.Plan, s.GPUs = "swap", 616
	s.Quotas = map[string]int64{"7f04ca": 168}
	s.Weights = map[string]int64{"0e4a51": 8, "2869ce": 32, "ee9e8c": 64}
	r := answer(t, s)
	if !r.NoWorse || r.Wait.Mean > 355 || r.Lost > 0.1 || r.Swaps == 0 {
		t.Errorf("worse: %v; mean wait %v s; %.2f%% lost", r.Worse, r.Wait.Mean, r.Lost)
	}
}

// A tenant that asks for 400 GPUs at once, now and then, makes nobody worse; and
// where surplus is divided by share, everybody has what is due to it.
func TestPhillyBursty(t *testing.T) {
	s := philly(t)
	s.Plan, s.Surplus, s.GPUs, s.Bursts, s.Failures.Seed = "swap", sched.ByShare, 640, 400, 42
	s.Quotas = map[string]int64{"7f04ca": 168, "b436b2": 8}
	s.Weights = map[string]int64{"0e4a51": 4, "2869ce": 2, "e13805": 2, "ee9e8c": 8}
	r := answer(t, s)
	if !r.NoWorse || r.Fairness.Worse > 0 || r.Jain < 0.99 {
		t.Errorf("worse: %v; fairness %+v, Jain %v", r.Worse, r.Fairness, r.Jain)
	}
}

// With the quotas that the adviser finds, a pool of 704 GPUs leaves nobody
// worse, and less than half a hundredth of the work is lost.
func TestPhillyQuota(t *testing.T) {
	s := philly(t)
	s.Plan, s.GPUs = "quota", 704
	s.Quotas = map[string]int64{"0e4a51": 152, "7f04ca": 168, "ee9e8c": 192}
	r := answer(t, s)
	if !r.NoWorse || r.Lost > 0.5 {
		t.Errorf("worse: %v; %.2f%% lost", r.Worse, r.Lost)
	}
}

// The same where jobs are held together on nodes: whole nodes have to be freed
// for some of them, and it makes a difference who has to go.
func TestPhillyTopology(t *testing.T) {
	s := philly(t)
	s.Plan, s.GPUs, s.Topology = "quota", 704, true
	s.Quotas = map[string]int64{"0e4a51": 152, "2869ce": 28, "7f04ca": 168, "e13805": 24, "ee9e8c": 192}
	r := answer(t, s)
	if !r.NoWorse || r.Lost > 0.5 {
		t.Errorf("worse: %v; %.2f%% lost", r.Worse, r.Lost)
	}
}
