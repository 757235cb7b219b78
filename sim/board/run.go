package board

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/weir-gpu/weir/sim/openb"
	"github.com/weir-gpu/weir/sim/pack"
	"github.com/weir-gpu/weir/sim/replay"
	"github.com/weir-gpu/weir/sim/scale"
	"github.com/weir-gpu/weir/sim/trace"
)

// Result is what came of a scenario, rounded, so that it can be kept as text.
type Result struct {
	// Key is of what the result depends on.
	Key    string          `json:"key"`
	Pack   *Packed         `json:"pack,omitempty"`
	Limit  []float64       `json:"limit,omitempty"` // for each that was given out before, the mean over seeds
	Replay *replay.Report  `json:"replay,omitempty"`
	Scale  []*scale.Result `json:"scale,omitempty"` // by size
}

// Packed is how much of a cluster was given out, in per cent of all GPUs. At,
// Bound and Moves have an entry for each seed.
type Packed struct {
	Mean []float64         `json:"mean"` // over seeds, by load, from firstLoad on
	SD   []float64         `json:"sd"`   // between seeds, likewise
	At   map[int][]float64 `json:"at"`   // by load, of tables
	// Bound is what no rule can exceed, by load, that gave out as much as this one
	// at boundFrom.
	Bound map[int][]float64 `json:"bound"`
	Moves []float64         `json:"moves"` // per 1,000 pods that came
}

// Loads, in per cent of all GPUs: from where on they are kept, those of
// tables, those for which bounds are computed, and those from which they are.
const firstLoad = 70

var (
	tableLoads = []int{80, 90, 95, 100, 110, 130}
	boundLoads = []int{100, 130}
	boundFrom  = []int{80, 90, 95}
)

// Run runs a scenario; say is told what is being done.
func (s Scenario) Run(ctx context.Context, say func(string)) (Result, error) {
	var r Result
	var err error
	switch {
	case s.Pack != nil:
		r.Pack, err = s.Pack.run()
	case s.Limit != nil:
		r.Limit, err = s.Limit.run()
	case s.Scale != nil:
		r.Scale, err = s.Scale.run()
	default:
		r.Replay, err = s.Replay.run(ctx, say)
	}
	return r, err
}

func (l Limiting) run() ([]float64, error) {
	nodes, pods, err := lists(l.List)
	if err != nil {
		return nil, err
	}
	sums := make([]float64, len(l.Given))
	for seed := range int64(l.Seeds) {
		c, err := pack.Draw(nodes, pods, firstSeed+seed)
		if err != nil {
			return nil, err
		}
		for i, given := range l.Given {
			sums[i] += c.Bound(l.Load, given, l.At)
		}
	}
	for i := range sums {
		sums[i] = thousandths(sums[i] / float64(l.Seeds))
	}
	return sums, nil
}

// run takes the owners, the load and the seed of weir simulate scale.
func (x Scaling) run() ([]*scale.Result, error) {
	var out []*scale.Result
	for _, n := range x.Nodes {
		r, err := scale.Run(scale.Options{
			Nodes: n, Uniform: x.Uniform, Jobs: x.Jobs, Load: 90, Owners: 20, Seed: 1,
			Rule: pack.Policies["weir"], Now: time.Now,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func lists(pods string) ([]openb.Node, []openb.Pod, error) {
	nodes, err := openb.Nodes()
	if err != nil {
		return nil, nil, err
	}
	list, err := openb.PodList(pods)
	return nodes, list, err
}

func (r Replay) run(ctx context.Context, say func(string)) (*replay.Report, error) {
	jobs, err := trace.Philly()
	if err != nil {
		return nil, err
	}
	study := replay.Study{
		Jobs: jobs, From: trace.PhillyFrom, PerNode: 8, Plan: r.Plan, GPUs: r.GPUs, Shrink: r.Shrink,
		Quotas: r.Quotas, Weights: r.Weights, Surplus: r.Surplus, Bursts: r.Bursty, Say: say,
	}
	study.Failures.Seed = firstSeed
	return study.Answer(ctx)
}

// played is one seed of a packing.
type played struct {
	*pack.Result
	bound map[int]float64
}

func (p Packing) run() (*Packed, error) {
	nodes, pods, err := lists(p.List)
	if err != nil {
		return nil, err
	}
	each := make([]played, p.Seeds)
	errs := make([]error, p.Seeds)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i := range each {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			each[i], errs[i] = p.play(nodes, pods, firstSeed+int64(i))
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return packed(each), nil
}

func (p Packing) play(nodes []openb.Node, pods []openb.Pod, seed int64) (played, error) {
	c, err := pack.Draw(nodes, pods, seed)
	if err != nil {
		return played{}, err
	}
	o := pack.Options{Rule: pack.Policies[p.Policy], Learn: p.Learn}
	if p.Moves {
		o.MovesEach = pack.MovesEach
	}
	r, err := c.Run(o)
	if err != nil {
		return played{}, err
	}
	out := played{Result: r, bound: map[int]float64{}}
	for _, at := range boundLoads {
		out.bound[at] = math.Inf(1)
		for _, load := range boundFrom {
			out.bound[at] = math.Min(out.bound[at], c.Bound(load, r.Allocation[load], at))
		}
	}
	return out, nil
}

func packed(each []played) *Packed {
	of := func(get func(played) float64) []float64 {
		var out []float64
		for _, r := range each {
			out = append(out, thousandths(get(r)))
		}
		return out
	}
	p := &Packed{At: map[int][]float64{}, Bound: map[int][]float64{}}
	for load := firstLoad; load <= pack.Inflation; load++ {
		mean, sd := stats(of(func(r played) float64 { return r.Allocation[load] }))
		p.Mean, p.SD = append(p.Mean, thousandths(mean)), append(p.SD, thousandths(sd))
	}
	for _, load := range tableLoads {
		p.At[load] = of(func(r played) float64 { return r.Allocation[load] })
	}
	for _, load := range boundLoads {
		p.Bound[load] = of(func(r played) float64 { return r.bound[load] })
	}
	p.Moves = of(func(r played) float64 { return 1000 * float64(r.Moves) / float64(r.Arrived) })
	return p
}

// stats returns the mean, and the standard deviation between values.
func stats(of []float64) (mean, sd float64) {
	n := float64(len(of))
	for _, x := range of {
		mean += x / n
	}
	for _, x := range of {
		sd += (x - mean) * (x - mean) / math.Max(n-1, 1)
	}
	return mean, math.Sqrt(sd)
}

func thousandths(x float64) float64 { return math.Round(1000*x) / 1000 }
