package main

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/weir-gpu/weir/sched"
)

const gib = int64(1) << 30

// cluster is an engine with a clock and a count of who holds what, kept from
// the decisions alone.
type cluster struct {
	engine  *sched.Engine
	now     sched.Time
	pods    map[string]pod
	devices map[string]*held // by node and device
	spent   time.Duration    // processor time inside the engine
	wall    time.Duration    // the same by the wall clock
}

// watch is a point on both clocks.
type watch struct{ processor, wall time.Duration }

// started is when the program began, for the wall clock.
var started = time.Now()

func read() watch {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // every Unix has it
	}
	return watch{time.Duration(u.Utime.Nano() + u.Stime.Nano()), time.Since(started)}
}

// stop adds what has passed since began.
func (c *cluster) stop(began watch) {
	now := read()
	c.spent += now.processor - began.processor
	c.wall += now.wall - began.wall
}

// reset sets both clocks to nothing.
func (c *cluster) reset() { c.spent, c.wall = 0, 0 }

type pod struct {
	workload string
	ask      sched.Ask
	grant    sched.Grant
}

// held is what is given away of a device.
type held struct {
	memory, compute int64
	total           sched.Device
}

func newCluster(nodes, gpus int, owners ...sched.Owner) *cluster {
	c := &cluster{
		engine: sched.New(sched.Config{}), now: 1_000_000,
		pods: map[string]pod{}, devices: map[string]*held{},
	}
	for i := range nodes {
		n := sched.Node{
			Name: nodeName(i), Pool: sched.DefaultPool,
			Capacity: sched.Resources{CPU: 192_000, Memory: 2048 * gib, Pods: 110},
		}
		for g := range gpus {
			d := sched.Device{
				Name: gpuName(g), Model: "NVIDIA-H100-80GB-HBM3", MemoryMiB: 81_559,
				ComputeMilli: sched.WholeCompute,
			}
			n.Devices = append(n.Devices, d)
			c.devices[n.Name+"/"+d.Name] = &held{total: d}
		}
		c.apply(sched.NodeSet{Node: n})
	}
	for _, o := range owners {
		c.apply(sched.OwnerSet{Owner: o})
	}
	c.engine.Decide(c.now)
	c.reset()
	return c
}

func nodeName(i int) string { return fmt.Sprintf("node-%05d", i) }
func gpuName(i int) string  { return fmt.Sprintf("gpu-%d", i) }

// owner returns an owner with a quota of GPUs and no limit.
func owner(name string, quota int64) sched.Owner {
	return sched.Owner{Name: name, Pools: map[string]sched.OwnerPool{sched.DefaultPool: {
		Quota: sched.Amount{GPU: quota * sched.GPU, CPU: sched.Unbounded, Memory: sched.Unbounded},
		Limit: sched.NoLimit, Weight: 1,
	}}}
}

// apply tells the engine of events, on the clock.
func (c *cluster) apply(evs ...sched.Event) {
	began := read()
	for _, ev := range evs {
		if err := c.engine.Apply(ev); err != nil {
			panic(fmt.Sprintf("the engine refuses %+v: %v", ev, err))
		}
	}
	c.stop(began)
}

// decide asks the engine until it has nothing more to say, on the clock, and
// then verifies what it said.
func (c *cluster) decide() ([]sched.Decision, error) {
	c.now++
	began := read()
	all := c.engine.Decide(c.now)
	for c.engine.More() {
		all = append(all, c.engine.Decide(c.now)...)
	}
	c.stop(began)
	for _, d := range all {
		if err := c.verify(d); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// verify checks a start against what every device has, and counts it.
func (c *cluster) verify(d sched.Decision) error {
	p, ok := c.pods[d.Pod]
	switch {
	case !ok:
		return fmt.Errorf("%s %s: there is no such pod", d.Action, d.Pod)
	case d.Action != sched.Start:
		return nil
	case p.grant.Node != "":
		return fmt.Errorf("pod %s is started twice", d.Pod)
	case len(d.Grant.Devices) != p.ask.Devices:
		return fmt.Errorf("pod %s asks for %d devices and gets %d", d.Pod, p.ask.Devices, len(d.Grant.Devices))
	}
	for _, s := range d.Grant.Devices {
		h := c.devices[d.Grant.Node+"/"+s.Device]
		h.memory, h.compute = h.memory+s.MemoryMiB, h.compute+s.ComputeMilli
		if h.memory > h.total.MemoryMiB || h.compute > h.total.ComputeMilli {
			return fmt.Errorf("device %s/%s is over-granted by %s: %+v", d.Grant.Node, s.Device, d.Pod, *h)
		}
	}
	p.grant = d.Grant
	c.pods[d.Pod] = p
	return nil
}

// submit makes the events of a workload with n equal pods.
func (c *cluster) submit(w sched.Workload, n int, ask sched.Ask) []sched.Event {
	w.Min, w.Submitted = max(w.Min, 1), c.now
	evs := []sched.Event{sched.WorkloadSet{Workload: w}}
	for i := range n {
		id := fmt.Sprintf("%s-%d", w.ID, i)
		c.pods[id] = pod{workload: w.ID, ask: ask}
		evs = append(evs, sched.PodSet{Workload: w.ID, Pod: sched.Pod{ID: id, Ask: ask}})
	}
	return evs
}

// leave frees what a pod holds and makes the event that tells of it.
func (c *cluster) leave(id string) sched.Event {
	p := c.pods[id]
	for _, s := range p.grant.Devices {
		h := c.devices[p.grant.Node+"/"+s.Device]
		h.memory, h.compute = h.memory-s.MemoryMiB, h.compute-s.ComputeMilli
	}
	delete(c.pods, id)
	return sched.PodGone{ID: id}
}

// running returns how many pods whose workload matches run.
func (c *cluster) running(match func(workload string) bool) int {
	n := 0
	for _, p := range c.pods {
		if p.grant.Node != "" && match(p.workload) {
			n++
		}
	}
	return n
}

func (c *cluster) seconds() float64 { return c.spent.Seconds() }

// quantile returns the q-quantile of the durations.
func quantile(ds []time.Duration, q float64) time.Duration {
	slices.Sort(ds)
	return ds[min(len(ds)-1, int(q*float64(len(ds))))]
}
