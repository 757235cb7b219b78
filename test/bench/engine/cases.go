package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/weir-gpu/weir/sched"
)

// cases are the bars of the engine. What is said of KAI was measured on the
// same shapes with its own snapshot tool.
var cases = []struct {
	name string
	run  func() ([]Result, error)
}{
	{"allocate", func() ([]Result, error) { return allocate(1_000, 0.12, "KAI 12.35 s") }},
	{"reclaim", func() ([]Result, error) { return reclaim(200, 0.1, "KAI 10.4 s") }},
	{"impossible", impossible},
	{"fill", func() ([]Result, error) { return fill(10_000, 80_000, fitting, sched.Pack, "", true) }},
	{"dense", func() ([]Result, error) { return fill(10_000, 80_000, fitting, sched.Dense, " with dense", false) }},
	{"overfull", func() ([]Result, error) { return fill(10_000, 80_000, overfull, sched.Pack, " (overfull)", false) }},
}

// allocate fills empty nodes with one-GPU jobs.
func allocate(nodes int, bar float64, other string) ([]Result, error) {
	c := newCluster(nodes, 8, owner("research", int64(nodes)*8))
	var evs []sched.Event
	for i := range nodes * 8 {
		w := sched.Workload{ID: fmt.Sprintf("ml/job-%d", i), Owner: "research", Preemptible: true}
		evs = append(evs, c.submit(w, 1, sched.Ask{Devices: 1})...)
	}
	c.apply(evs...)
	ds, err := c.decide()
	if err != nil {
		return nil, err
	}
	if len(ds) != nodes*8 {
		return nil, fmt.Errorf("%d of %d jobs were started", len(ds), nodes*8)
	}
	name := fmt.Sprintf("allocate %d one-GPU jobs on %d nodes", nodes*8, nodes)
	return []Result{{Case: name, Value: c.seconds(), Unit: "s", Bar: bar, Other: other, Note: c.byWall()}}, nil
}

// reclaim takes a cluster full of borrowed one-GPU jobs back for as many jobs
// of an owner under quota: victims chosen, victims gone, claimants started.
func reclaim(nodes int, bar float64, other string) ([]Result, error) {
	gpus := nodes * 8
	c := newCluster(nodes, 8, owner("borrower", 0), owner("claimant", int64(gpus)))
	for i := range gpus {
		w := sched.Workload{ID: fmt.Sprintf("lent/job-%d", i), Owner: "borrower", Preemptible: true}
		c.apply(c.submit(w, 1, sched.Ask{Devices: 1})...)
	}
	if _, err := c.decide(); err != nil {
		return nil, err
	}
	c.now += 10 * 3_600_000 // what is taken back has run for hours, so that it matters whose it is
	c.reset()
	var evs []sched.Event
	for i := range gpus {
		w := sched.Workload{ID: fmt.Sprintf("claim/job-%d", i), Owner: "claimant", Preemptible: true}
		evs = append(evs, c.submit(w, 1, sched.Ask{Devices: 1})...)
	}
	c.apply(evs...)
	ds, err := c.decide()
	if err != nil {
		return nil, err
	}
	chosen := c.seconds()
	if err := takenRight(ds, gpus); err != nil {
		return nil, err
	}
	var gone []sched.Event
	for _, d := range ds {
		gone = append(gone, c.leave(d.Pod))
	}
	c.apply(gone...)
	if ds, err = c.decide(); err != nil {
		return nil, err
	}
	if n := c.running(func(w string) bool { return strings.HasPrefix(w, "claim/") }); n != gpus {
		return nil, fmt.Errorf("%d of %d claimants run", n, gpus)
	}
	name := fmt.Sprintf("reclaim %d against %d on %d nodes", gpus, gpus, nodes)
	note := fmt.Sprintf("victims chosen in %.3g s; %s", chosen, c.byWall())
	return []Result{{Case: name, Value: c.seconds(), Unit: "s", Bar: bar, Other: other, Note: note}}, nil
}

// takenRight checks that every borrower's job, and nothing else, is evicted
// once, each for a claimant of its own.
func takenRight(ds []sched.Decision, want int) error {
	victims, winners := map[string]bool{}, map[string]bool{}
	for _, d := range ds {
		if d.Action != sched.Evict || d.Rule != sched.Reclaim || d.ForOwner != "claimant" ||
			!strings.HasPrefix(d.Pod, "lent/") || !strings.HasPrefix(d.For, "claim/") {
			return fmt.Errorf("wrong decision: %+v", d)
		}
		victims[d.Pod], winners[d.For] = true, true
	}
	if len(ds) != want || len(victims) != want || len(winners) != want {
		return fmt.Errorf("%d decisions for %d victims and %d winners, expected %d of each",
			len(ds), len(victims), len(winners), want)
	}
	return nil
}

// crowd is a way in which a cluster is full.
type crowd struct {
	name string
	gpus int // a node
	fill func(c *cluster, node int) []sched.Event
}

// resident puts a workload of one pod onto the node: devices first to first+gpus.
func resident(c *cluster, name string, node, first, gpus int, owner string, preemptible bool) []sched.Event {
	w := sched.Workload{ID: fmt.Sprintf("%s/job-%d", name, node), Owner: owner, Preemptible: preemptible}
	evs := c.submit(w, 1, sched.Ask{Devices: gpus})
	id := w.ID + "-0"
	p := c.pods[id]
	p.grant.Node = nodeName(node)
	for i := range gpus {
		d := c.devices[p.grant.Node+"/"+gpuName(first+i)]
		d.memory, d.compute = d.total.MemoryMiB, d.total.ComputeMilli
		p.grant.Devices = append(p.grant.Devices, sched.Share{
			Device: d.total.Name, MemoryMiB: d.memory, ComputeMilli: d.compute,
			LimitMemoryMiB: d.memory, LimitComputeMilli: d.compute,
		})
	}
	c.pods[id] = p
	return append(evs, sched.PodGranted{ID: id, Grant: p.grant, Since: c.now})
}

var crowds = []crowd{
	{"full of non-preemptible work", 8, func(c *cluster, i int) []sched.Event {
		return resident(c, "firm", i, 0, 8, "resident", false)
	}},
	{"full of work within quota", 8, func(c *cluster, i int) []sched.Event {
		return resident(c, "kept", i, 0, 8, "resident", true)
	}},
	{"borrowed, a non-preemptible GPU on every node", 8, func(c *cluster, i int) []sched.Event {
		return append(resident(c, "firm", i, 0, 1, "resident", false), resident(c, "lent", i, 1, 7, "borrower", true)...)
	}},
	{"half the GPUs of every node free", 8, func(c *cluster, i int) []sched.Event {
		return resident(c, "firm", i, 0, 4, "resident", false)
	}},
	{"four-GPU nodes, empty", 4, func(*cluster, int) []sched.Event { return nil }},
	{"only nine nodes can be cleared", 8, func(c *cluster, i int) []sched.Event {
		if i < 9 {
			return resident(c, "lent", i, 0, 8, "borrower", true)
		}
		return resident(c, "firm", i, 0, 8, "resident", false)
	}},
}

// impossible asks for ten pods of eight GPUs where that cannot be.
func impossible() ([]Result, error) {
	var out []Result
	for _, size := range []struct {
		nodes int
		bar   float64
		other string
	}{{100, 1, "KAI 19.0 s"}, {10_000, 2, ""}} {
		for _, crowd := range crowds {
			r, err := sayNo(crowd, size.nodes)
			if err != nil {
				return nil, fmt.Errorf("%d nodes %s: %w", size.nodes, crowd.name, err)
			}
			r.Bar, r.Other = size.bar, size.other
			out = append(out, r)
		}
	}
	return out, nil
}

// sayNo measures the answer to the first such gang that a cluster ever sees,
// and to those that come later.
func sayNo(crowd crowd, nodes int) (Result, error) {
	const clusters, gangs = 5, 10
	var first, later []time.Duration
	for range clusters {
		c, err := crowded(crowd, nodes)
		if err != nil {
			return Result{}, err
		}
		for i := range gangs {
			took, err := c.refuse(fmt.Sprintf("gang/%d", i))
			if err != nil {
				return Result{}, err
			}
			if i == 0 {
				first = append(first, took)
			} else {
				later = append(later, took)
			}
		}
	}
	return Result{
		Case: fmt.Sprintf("no to a 10 × 8 GPU gang, %d nodes, %s", nodes, crowd.name), Unit: "ms",
		Value: milliseconds(quantile(first, 0.5)),
		Note: fmt.Sprintf("median of the first in %d clusters; later ones p50 %.3g ms, worst %.3g ms",
			clusters, milliseconds(quantile(later, 0.5)), milliseconds(quantile(later, 1))),
	}, nil
}

func crowded(crowd crowd, nodes int) (*cluster, error) {
	c := newCluster(nodes, crowd.gpus,
		owner("resident", int64(nodes)*8), owner("borrower", 0), owner("claimant", int64(nodes)*8))
	for i := range nodes {
		c.apply(crowd.fill(c, i)...)
	}
	_, err := c.decide()
	runtime.GC()
	return c, err
}

// refuse submits the gang, times the answer, and deletes the gang again.
func (c *cluster) refuse(id string) (time.Duration, error) {
	c.reset()
	w := sched.Workload{ID: id, Owner: "claimant", Preemptible: true, Min: 10, Priority: 100}
	c.apply(c.submit(w, 10, sched.Ask{Devices: 8})...)
	ds, err := c.decide()
	took := c.spent
	switch {
	case err != nil:
		return 0, err
	case len(ds) > 0:
		return 0, fmt.Errorf("an impossible gang led to %+v", ds[0])
	}
	c.apply(sched.WorkloadGone{ID: id})
	_, err = c.decide()
	return took, err
}

func (c *cluster) byWall() string { return fmt.Sprintf("%.3g s by the wall clock", c.wall.Seconds()) }

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
