package replay

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/weir-gpu/weir/sim/trace"
)

// Bursty is the name of the tenant that [Bursts] makes up.
const Bursty = "bursty"

// The bursts: how often one comes on average, and between which bounds its jobs
// run. Short runs are as likely as long ones, by their logarithm.
const (
	burstEvery = 3 * 24 * time.Hour
	burstLeast = 10 * time.Minute
	burstMost  = 4 * time.Hour
)

// Bursts adds a tenant that asks for that many GPUs at once, at random times,
// and for nothing in between: whom sharing is meant for, and whom others have to
// be protected from.
func Bursts(jobs []trace.Job, from time.Time, gpus int, seed uint64) []trace.Job {
	random := rand.New(rand.NewPCG(seed, 1))
	until := jobs[len(jobs)-1].Submit
	sizes := []int{1, 1, 1, 2, 4, 8}
	n := 0
	for at := from; ; {
		at = at.Add(time.Duration(random.ExpFloat64() * float64(burstEvery))).Truncate(time.Second)
		if at.After(until) {
			trace.Sort(jobs)
			return jobs
		}
		for left := gpus; left > 0; n++ {
			size := min(sizes[random.IntN(len(sizes))], left)
			run := float64(burstLeast) * math.Pow(float64(burstMost)/float64(burstLeast), random.Float64())
			jobs = append(jobs, trace.Job{
				ID: fmt.Sprintf("%s-%d", Bursty, n), Tenant: Bursty, Submit: at, GPUs: size,
				Duration: time.Duration(run).Truncate(time.Second),
			})
			left -= size
		}
	}
}
