package pack

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/openb"
)

// Options says how a case is played.
type Options struct {
	Rule string // of placement, one of [sched.Rules]
	// Learn lets the rule find out by itself what pods are like, from those
	// that run; else it is told, as in the published comparison.
	Learn  bool
	Engine sched.Config // Expect is filled in
	// Now reads a clock, to time decisions; nil for none.
	Now func() time.Time
	// Progress, if any, is called now and then with how much of all pods came.
	Progress func(done, all int)
}

// Result is what became of a case.
type Result struct {
	// Allocation is how much of all GPUs was given out, in per cent, by how
	// much was asked for until then, in per cent: the mean over the arrivals
	// that round to it.
	Allocation map[int]float64
	Arrived    int // pods
	Started    int
	Moves      int
	Took       []time.Duration // each decision, in order of arrival; see Options.Now
}

const owner = "trace"

// Run plays a case. It fails when the engine says what the protocol has no
// place for: it may start the pod that just came, and nothing else.
func (c *Case) Run(o Options) (*Result, error) {
	engine, err := c.engine(o)
	if err != nil {
		return nil, err
	}
	res := &Result{Allocation: map[int]float64{}, Arrived: len(c.Pods)}
	sums, counts := map[int]float64{}, map[int]int{}
	var asked, given int64
	for i, p := range c.Pods {
		if o.Progress != nil && i%1000 == 0 {
			o.Progress(i, len(c.Pods))
		}
		started, err := offer(engine, p, sched.Time(i), o.Now, res)
		if err != nil {
			return nil, err
		}
		asked += milli(p)
		if started {
			res.Started++
			given += milli(p)
		}
		load := int(math.Round(100 * float64(asked) / float64(c.Milli)))
		sums[load] += 100 * float64(given) / float64(c.Milli)
		counts[load]++
	}
	for load, sum := range sums {
		res.Allocation[load] = sum / float64(counts[load])
	}
	return res, nil
}

// offer lets one pod come and, when nothing is found for it, go.
func offer(engine *sched.Engine, p openb.Pod, now sched.Time, clock func() time.Time, res *Result) (bool, error) {
	if clock == nil {
		clock = func() time.Time { return time.Time{} }
	}
	from := clock()
	if err := engine.Apply(sched.WorkloadSet{Workload: sched.Workload{ID: p.Name, Owner: owner, Min: 1}}); err != nil {
		return false, err
	}
	if err := engine.Apply(sched.PodSet{Workload: p.Name, Pod: sched.Pod{ID: p.Name, Ask: Ask(p)}}); err != nil {
		return false, err
	}
	decisions := engine.Decide(now)
	res.Took = append(res.Took, clock().Sub(from))
	switch {
	case len(decisions) == 0:
		return false, engine.Apply(sched.WorkloadGone{ID: p.Name})
	case len(decisions) > 1 || decisions[0].Action != sched.Start || decisions[0].Pod != p.Name:
		return false, fmt.Errorf("pod %s came, and the engine decided %v: it may start that pod and nothing else", p.Name, decisions)
	}
	return true, nil
}

// engine returns the engine with the case's cluster.
func (c *Case) engine(o Options) (*sched.Engine, error) {
	if !slices.Contains(sched.Rules, o.Rule) {
		return nil, fmt.Errorf("rule %q: use one of %q", o.Rule, sched.Rules)
	}
	if !o.Learn {
		o.Engine.Expect = expected(c.Trace, o.Rule == sched.FGD)
	}
	e := sched.New(o.Engine)
	events := []sched.Event{
		sched.PoolSet{Pool: sched.Pool{Name: sched.DefaultPool, GPUPlacement: o.Rule}},
		sched.OwnerSet{Owner: sched.Owner{Name: owner, Pools: map[string]sched.OwnerPool{
			sched.DefaultPool: {Quota: sched.NoLimit, Limit: sched.NoLimit, Weight: 1},
		}}},
	}
	for rank, n := range c.Nodes {
		events = append(events, sched.NodeSet{Node: node(rank, n)})
	}
	for _, ev := range events {
		if err := e.Apply(ev); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// node is a node of the trace by the name that gives it its rank. Traces say
// nothing of GPU memory, so its devices have none and are shared by compute.
func node(rank int, n openb.Node) sched.Node {
	out := sched.Node{
		Name:     fmt.Sprintf("%06d", rank),
		Capacity: sched.Resources{CPU: n.CPUMilli, Memory: n.MemoryMiB << 20},
	}
	for i := range n.GPUs {
		out.Devices = append(out.Devices, sched.Device{
			Name: fmt.Sprint("gpu-", i), Model: n.Model, ComputeMilli: sched.WholeCompute,
		})
	}
	return out
}

// Ask is what a pod of the trace asks of the engine.
func Ask(p openb.Pod) sched.Ask {
	a := sched.Ask{
		Devices: int(p.GPUs), Models: p.Models,
		Resources: sched.Resources{CPU: p.CPUMilli, Memory: p.MemoryMiB << 20},
	}
	if p.GPUs > 0 && p.GPUMilli < 1000 {
		a.Part.Fraction = p.GPUMilli * (sched.GPU / 1000)
	}
	return a
}

// expected is what pods of a trace are like. The published rule looks at CPU
// and GPUs only.
func expected(pods []openb.Pod, lean bool) []sched.Expected {
	var out []sched.Expected
	for _, p := range pods {
		x := sched.Expected{Ask: Ask(p), Weight: 1}
		if lean {
			x.Ask.Memory = 0
		}
		out = append(out, x)
	}
	return out
}
