// Package scale measures what a decision of the scheduler's engine costs as
// clusters grow: jobs like those of the openb trace come and go in a cluster
// that is kept nearly full, shared by many owners with quotas, and every arrival
// and every end is decided on at once.
//
// It measures the engine alone, with the policy of a production cluster: the
// dense placement rule, quotas with borrowing and reclaim, priorities. It does
// not measure Kubernetes.
package scale

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/learn"
	"github.com/weir-gpu/weir/sim/openb"
	"github.com/weir-gpu/weir/sim/pack"
)

// Options says what is simulated.
type Options struct {
	Nodes   int
	Uniform bool // nodes of eight GPUs, instead of those of openb again and again
	Jobs    int  // that come in all
	Load    int  // of all GPUs, kept in use, in per cent
	Owners  int
	Rule    string // of placement
	Seed    uint64
	Now     func() time.Time
	// Progress, if any, is called now and then with how many jobs came.
	Progress func(done, all int)
}

// Result is what decisions cost.
type Result struct {
	Nodes       int     `json:"nodes"`
	GPUs        int64   `json:"gpus"`
	Jobs        int     `json:"jobs"`
	Decisions   int     `json:"decisions"` // arrivals and ends
	Started     int     `json:"started"`
	Evicted     int     `json:"evicted"`
	Waiting     int     `json:"waiting"` // at the end
	P50         float64 `json:"p50Micros"`
	P99         float64 `json:"p99Micros"`
	Mean        float64 `json:"meanMicros"`
	Seconds     float64 `json:"seconds"`     // of the engine, all decisions
	WallSeconds float64 `json:"wallSeconds"` // with the simulation around it
	ResidentMiB int64   `json:"residentMiB"` // Go's memory, the simulation's included
}

// world is a simulated cluster with its jobs.
type world struct {
	Options
	engine  *sched.Engine
	learner *learn.Counter
	rand    *rand.Rand
	asks    []sched.Ask // of the trace's pods
	keys    []string    // of those asks
	running []job
	at      []int32 // place in running, by number of job; -1 when it does not run
	used    int64   // milli of compute, of running jobs
	total   int64
	clock   sched.Time
	took    []int32 // nanoseconds of each decision
	spent   time.Duration
	res     Result
}

// job is one that runs. Jobs have numbers: a million names are dear to look up.
type job struct {
	number int
	milli  int64
}

const prefix = "job-"

func name(number int) string { return prefix + strconv.Itoa(number) }

// number is that of the job which a pod is.
func number(pod string) (int, error) { return strconv.Atoi(strings.TrimPrefix(pod, prefix)) }

// Run simulates.
func Run(o Options) (*Result, error) {
	w := &world{
		Options: o, engine: sched.New(sched.Config{}), learner: learn.New(),
		rand: rand.New(rand.NewPCG(o.Seed, 1)),
	}
	if err := w.build(); err != nil {
		return nil, err
	}
	from := o.Now()
	for i := range o.Jobs {
		if o.Progress != nil && i%10_000 == 0 {
			o.Progress(i, o.Jobs)
		}
		for w.used*100 > w.total*int64(o.Load) {
			if err := w.end(); err != nil {
				return nil, err
			}
		}
		if err := w.arrive(i); err != nil {
			return nil, err
		}
	}
	w.res.WallSeconds = o.Now().Sub(from).Seconds()
	w.sumUp()
	return &w.res, nil
}

// build makes the cluster and its owners.
func (w *world) build() error {
	nodes, err := openb.Nodes()
	if err != nil {
		return err
	}
	pods, err := openb.Pods()
	if err != nil {
		return err
	}
	for _, p := range pods {
		if w.Uniform {
			p.Models = nil // its nodes have one model, which no pod asks for
		}
		w.asks = append(w.asks, pack.Ask(p))
		w.keys = append(w.keys, fmt.Sprint(w.asks[len(w.asks)-1]))
	}
	events := []sched.Event{sched.PoolSet{Pool: sched.Pool{Name: sched.DefaultPool, GPUPlacement: w.Rule}}}
	for i := range w.Nodes {
		n := nodes[i%len(nodes)]
		if w.Uniform {
			n = openb.Node{CPUMilli: 96_000, MemoryMiB: 768 << 10, GPUs: 8, Model: "H100"}
		}
		events = append(events, sched.NodeSet{Node: pack.Node(fmt.Sprintf("n%06d", i), n)})
		w.total += n.GPUs * sched.WholeCompute
	}
	for i := range w.Owners {
		quota := w.total * (sched.GPU / sched.WholeCompute) / int64(w.Owners)
		events = append(events, sched.OwnerSet{Owner: sched.Owner{Name: team(i), Pools: map[string]sched.OwnerPool{
			sched.DefaultPool: {
				Quota: sched.Amount{GPU: quota, CPU: sched.Unbounded, Memory: sched.Unbounded},
				Limit: sched.NoLimit, Weight: 1,
			},
		}}})
	}
	for _, ev := range events {
		if err := w.engine.Apply(ev); err != nil {
			return err
		}
	}
	w.res.Nodes, w.res.GPUs, w.res.Jobs = w.Nodes, w.total/sched.WholeCompute, w.Jobs
	return nil
}

func team(i int) string { return "team-" + strconv.Itoa(i) }

// arrive lets a job come.
func (w *world) arrive(i int) error {
	k := w.rand.IntN(len(w.asks))
	id := name(i)
	w.at = append(w.at, -1)
	events := []sched.Event{
		sched.WorkloadSet{Workload: sched.Workload{
			ID: id, Owner: team(w.rand.IntN(w.Owners)), Min: 1, Submitted: w.clock,
			Preemptible: w.rand.IntN(2) == 0, Priority: int32(w.rand.IntN(3) * 50),
		}},
		sched.PodSet{Workload: id, Pod: sched.Pod{ID: id, Ask: w.asks[k]}},
	}
	w.learner.Arrived(w.keys[k], w.asks[k])
	if ev, ok := w.learner.Due(); ok {
		events = append(events, ev)
	}
	return w.decide(events...)
}

// end ends a random job that runs.
func (w *world) end() error {
	if len(w.running) == 0 {
		return fmt.Errorf("%d%% of all GPUs are in use by nobody", w.Load)
	}
	j := w.running[w.rand.IntN(len(w.running))]
	w.drop(j.number)
	return w.decide(sched.WorkloadGone{ID: name(j.number)})
}

// decide tells the engine of a change, and does what it says.
func (w *world) decide(events ...sched.Event) error {
	w.clock += 10
	from := w.Now()
	for _, ev := range events {
		if err := w.engine.Apply(ev); err != nil {
			return err
		}
	}
	decisions := w.engine.Decide(w.clock)
	took := w.Now().Sub(from)
	w.spent += took
	w.took = append(w.took, int32(min(took, math.MaxInt32)))
	for _, d := range decisions {
		n, err := number(d.Pod)
		if err != nil {
			return err
		}
		switch d.Action {
		case sched.Start:
			w.res.Started++
			w.add(n, d.Grant)
		case sched.Evict: // gone at once; nobody makes it anew
			w.res.Evicted++
			w.drop(n)
			if err := w.decide(sched.WorkloadGone{ID: d.Workload}); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s of pod %s: jobs here may not be moved", d.Action, d.Pod)
		}
	}
	return nil
}

func (w *world) add(number int, g sched.Grant) {
	milli := int64(0)
	for _, s := range g.Devices {
		milli += s.ComputeMilli
	}
	w.at[number] = int32(len(w.running))
	w.running = append(w.running, job{number, milli})
	w.used += milli
}

func (w *world) drop(number int) {
	i := w.at[number]
	if i < 0 {
		return
	}
	last := len(w.running) - 1
	w.used -= w.running[i].milli
	w.running[i] = w.running[last]
	w.at[w.running[i].number] = i
	w.running = w.running[:last]
	w.at[number] = -1
}

func (w *world) sumUp() {
	r := &w.res
	r.Decisions, r.Seconds, r.Waiting = len(w.took), w.spent.Seconds(), len(w.engine.Waiting())
	sorted := slices.Sorted(slices.Values(w.took))
	at := func(q float64) float64 { return float64(sorted[int(q*float64(len(sorted)-1))]) / 1000 }
	r.P50, r.P99, r.Mean = at(0.5), at(0.99), 1e6*r.Seconds/float64(len(sorted))
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.ResidentMiB = int64(m.Sys-m.HeapReleased) >> 20
}

// Slope is how cost grows with nodes: that of the line through the logarithms
// of both, by least squares. A cost that doubles as nodes double has slope 1.
func Slope(results []*Result, cost func(*Result) float64) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, r := range results {
		x, y := math.Log(float64(r.Nodes)), math.Log(cost(r))
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}
