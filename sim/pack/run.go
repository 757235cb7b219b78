package pack

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/learn"
	"github.com/weir-gpu/weir/sim/openb"
)

// Policies are the rules of placement by the names under which they are
// compared.
var Policies = map[string]string{
	"weir": sched.Dense, "pack": sched.Pack, "fgd": sched.FGD, "bestfit": sched.BestFit, "dotprod": sched.DotProd,
	"random": sched.Random,
}

// MovesEach is how often a pod may be moved that does not say
// (weir.dev/max-moves).
const MovesEach = 3

// Options says how a case is played.
type Options struct {
	Rule string // of placement, one of [sched.Rules]
	// Learn lets the rule find out what pods are like from those that came, as
	// a live scheduler has to; else it is told, as in the published comparison.
	Learn bool
	// MovesEach is how often each running pod may be moved to make room for one
	// that comes; 0 for never.
	MovesEach int
	Engine    sched.Config
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
// place for: pods start, or are moved where that is allowed, and nothing else.
func (c *Case) Run(o Options) (*Result, error) {
	engine, err := c.engine(o)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Time{} }
	}
	r := &run{
		Options: o, engine: engine, asks: map[string]sched.Ask{}, learner: learn.New(),
		result: &Result{Allocation: map[int]float64{}, Arrived: len(c.Pods)},
	}
	sums, counts := map[int]float64{}, map[int]int{}
	var asked, given int64
	for i, p := range c.Pods {
		if o.Progress != nil && i%1000 == 0 {
			o.Progress(i, len(c.Pods))
		}
		started, err := r.offer(p, sched.Time(i)*second)
		if err != nil {
			return nil, err
		}
		asked += milli(p)
		if started {
			r.result.Started++
			given += milli(p)
		}
		load := int(math.Round(100 * float64(asked) / float64(c.Milli)))
		sums[load] += 100 * float64(given) / float64(c.Milli)
		counts[load]++
	}
	for load, sum := range sums {
		r.result.Allocation[load] = sum / float64(counts[load])
	}
	return r.result, nil
}

// second is how far pods come apart: long enough for the engine's planning,
// which it does at a pace.
const second = 1000

// run is a case that is being played.
type run struct {
	Options
	engine  *sched.Engine
	result  *Result
	asks    map[string]sched.Ask // by workload
	learner *learn.Counter
}

// offer lets one pod come and, when no place is found for it, go.
func (r *run) offer(p openb.Pod, now sched.Time) (bool, error) {
	from := r.Now()
	started, err := r.decide(p, now)
	r.result.Took = append(r.result.Took, r.Now().Sub(from))
	if err != nil || started {
		return started, err
	}
	return false, r.engine.Apply(sched.WorkloadGone{ID: p.Name})
}

func (r *run) decide(p openb.Pod, now sched.Time) (started bool, err error) {
	ask := Ask(p)
	r.asks[p.Name] = ask
	if r.Learn {
		r.learner.Arrived(fmt.Sprint(ask), ask)
		if ev, ok := r.learner.Due(); ok {
			if err := r.tell(ev); err != nil {
				return false, err
			}
		}
	}
	if err := r.tell(
		sched.WorkloadSet{Workload: sched.Workload{
			ID: p.Name, Owner: owner, Min: 1, Moves: r.MovesEach, Preemptible: r.MovesEach > 0,
		}},
		sched.PodSet{Workload: p.Name, Pod: sched.Pod{ID: p.Name, Ask: ask}},
	); err != nil {
		return false, err
	}
	for again := true; again; {
		again = r.MovesEach > 0 && r.engine.More()
		for _, d := range r.engine.Decide(now) {
			again = r.MovesEach > 0
			switch {
			case d.Action == sched.Start && d.Pod == p.Name:
				started = true
			case d.Action == sched.Move && r.MovesEach > 0:
				r.result.Moves++
				err = r.move(d)
			case d.Action != sched.Start || r.MovesEach == 0:
				err = fmt.Errorf("pod %s came, and the engine decided %v: nothing but starts has a place here", p.Name, d)
			}
			if err != nil {
				return false, err
			}
		}
	}
	return started, nil
}

// move plays a move: the pod ends, and its successor comes.
func (r *run) move(d sched.Decision) error {
	// A successor is called like its workload, with one more mark at the end.
	return r.tell(
		sched.PodGone{ID: d.Pod},
		sched.PodSet{Workload: d.Workload, Pod: sched.Pod{ID: d.Pod + "'", Ask: r.asks[d.Workload]}},
	)
}

func (r *run) tell(events ...sched.Event) error {
	for _, ev := range events {
		if err := r.engine.Apply(ev); err != nil {
			return err
		}
	}
	return nil
}

// engine returns the engine with the case's cluster.
func (c *Case) engine(o Options) (*sched.Engine, error) {
	if !slices.Contains(sched.Rules, o.Rule) {
		return nil, fmt.Errorf("rule %q: use one of %q", o.Rule, sched.Rules)
	}
	e := sched.New(o.Engine)
	events := []sched.Event{
		sched.PoolSet{Pool: sched.Pool{Name: sched.DefaultPool, GPUPlacement: o.Rule}},
		sched.OwnerSet{Owner: sched.Owner{Name: owner, Pools: map[string]sched.OwnerPool{
			sched.DefaultPool: {Quota: sched.NoLimit, Limit: sched.NoLimit, Weight: 1},
		}}},
	}
	if !o.Learn {
		events = append(events, expected(c.Trace, o.Rule == sched.FGD))
	}
	for rank, n := range c.Nodes {
		events = append(events, sched.NodeSet{Node: Node(fmt.Sprintf("%06d", rank), n)})
	}
	for _, ev := range events {
		if err := e.Apply(ev); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Node is a node of the trace under a name: names give nodes their ranks. Traces
// say nothing of GPU memory, so devices have none and are shared by compute.
func Node(name string, n openb.Node) sched.Node {
	out := sched.Node{Name: name, Capacity: sched.Resources{CPU: n.CPUMilli, Memory: n.MemoryMiB << 20}}
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
func expected(pods []openb.Pod, lean bool) sched.Expect {
	var ev sched.Expect
	at := map[string]int{}
	for _, p := range pods {
		ask := Ask(p)
		if lean {
			ask.Memory = 0
		}
		key := fmt.Sprint(ask)
		if i, ok := at[key]; ok {
			ev.Pods[i].Weight++
			continue
		}
		at[key] = len(ev.Pods)
		ev.Pods = append(ev.Pods, sched.Expected{Ask: ask, Weight: 1})
	}
	return ev
}
