package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/weir-gpu/weir/sched"
)

// owners is the number of owners that share the cluster.
const owners = 20

// mix says how many of the hundred request shapes of a cluster are of each
// kind: most are parts of a device and single devices, few are large.
type mix struct{ fractions, memories, singles, pairs, fours, eights int }

var (
	fitting  = mix{30, 18, 44, 6, 1, 1}  // asks for 86% of all GPUs: everything runs
	overfull = mix{25, 15, 40, 12, 5, 3} // asks for more than there is: some wait
)

// shapesOf draws the request shapes.
func shapesOf(r *rand.Rand, m mix) []sched.Ask {
	var out []sched.Ask
	add := func(n, devices int, part func() sched.Part) {
		for range n {
			out = append(out, sched.Ask{Devices: devices, Part: part(), Resources: sched.Resources{
				CPU: int64(1+r.IntN(12)) * 1000, Memory: int64(1+r.IntN(16)) * 4 * gib,
			}})
		}
	}
	whole := func() sched.Part { return sched.Part{} }
	add(m.fractions, 1, func() sched.Part { return sched.Part{Fraction: int64(1+r.IntN(9)) * 100_000} })
	add(m.memories, 1, func() sched.Part { return sched.Part{MemoryMiB: int64(1+r.IntN(30)) * 1024} })
	add(m.singles, 1, whole)
	add(m.pairs, 2, whole)
	add(m.fours, 4, whole)
	add(m.eights, 8, whole)
	return out
}

// filler submits pods of random shapes and owners.
type filler struct {
	*cluster
	rand   *rand.Rand
	shapes []sched.Ask
	n      int
	ids    []string // pods, in order of arrival
}

// expect says what the pods are like that will come.
func (f *filler) expect() sched.Expect {
	var ev sched.Expect
	for _, ask := range f.shapes {
		ev.Pods = append(ev.Pods, sched.Expected{Ask: ask, Weight: 1})
	}
	return ev
}

func (f *filler) next() []sched.Event {
	f.n++
	w := sched.Workload{
		ID: fmt.Sprintf("ml/job-%d", f.n), Owner: fmt.Sprintf("team-%02d", f.rand.IntN(owners)),
		Preemptible: f.rand.IntN(2) == 0, Priority: int32(f.rand.IntN(3) * 50),
	}
	f.ids = append(f.ids, w.ID+"-0")
	return f.submit(w, 1, f.shapes[f.rand.IntN(len(f.shapes))])
}

// fill puts pods of many shapes and owners onto many nodes, then lets single
// pods come and go in that cluster. Bars are set for the cluster that is not
// asked for more than it has and that packs; name tells others apart. A dense
// one is told what pods to expect.
func fill(nodes, pods int, m mix, rule, name string, bars bool) ([]Result, error) {
	var teams []sched.Owner
	for i := range owners {
		teams = append(teams, owner(fmt.Sprintf("team-%02d", i), int64(nodes*8/owners)))
	}
	r := rand.New(rand.NewPCG(1, 2))
	f := &filler{cluster: newCluster(nodes, 8, teams...), rand: r, shapes: shapesOf(r, m)}
	f.apply(sched.PoolSet{Pool: sched.Pool{Name: sched.DefaultPool, GPUPlacement: rule}})
	if rule == sched.Dense {
		f.apply(f.expect())
	}
	var evs []sched.Event
	for range pods {
		evs = append(evs, f.next()...)
	}
	f.apply(evs...)
	told := f.seconds()
	evs = nil
	ds, err := f.decide()
	if err != nil {
		return nil, err
	}
	runtime.GC()
	each := f.seconds() / float64(pods) * 1e6
	results := []Result{{
		Case: fmt.Sprintf("%d pods onto %d nodes%s, each", pods, nodes, name), Value: each, Unit: "µs", Bar: 20,
		Other: "KAI 1544 µs on 1,000 nodes",
		Note: fmt.Sprintf("%d decisions, %d run, told in %.3g s of %.3g s; %s", len(ds),
			f.running(func(string) bool { return true }), told, f.seconds(), f.byWall()),
	}}
	steps, err := f.churn(name)
	if err != nil {
		return nil, err
	}
	results = append(results, steps...)
	results = append(results, Result{
		Case: "resident with that cluster" + name, Value: residentMiB(), Unit: "MiB", Bar: 1024,
		Note: fmt.Sprintf("with the bench's own books; Go heap in use %.0f MiB", heapMiB()),
	})
	for i := range results {
		if !bars {
			results[i].Bar = 0
		}
	}
	return results, nil
}

// churn lets one pod end, or one arrive, at a time.
func (f *filler) churn(name string) ([]Result, error) {
	const steps = 3_000
	var ends, arrivals []time.Duration
	for i := range steps {
		f.reset()
		if i%2 == 0 {
			f.apply(f.next()...)
		} else {
			f.apply(f.end()...)
		}
		if _, err := f.decideAndClear(); err != nil {
			return nil, err
		}
		if i%2 == 0 {
			arrivals = append(arrivals, f.spent)
		} else {
			ends = append(ends, f.spent)
		}
	}
	result := func(what string, ds []time.Duration) Result {
		return Result{
			Case:  "one " + what + " in that cluster" + name + ", p99",
			Value: milliseconds(quantile(ds, 0.99)), Unit: "ms", Bar: 1,
			Note: fmt.Sprintf("p50 %.3g ms, worst %.3g ms", milliseconds(quantile(ds, 0.5)), milliseconds(quantile(ds, 1))),
		}
	}
	return []Result{result("arrival", arrivals), result("end", ends)}, nil
}

// end ends a random pod that runs.
func (f *filler) end() []sched.Event {
	for {
		i := f.rand.IntN(len(f.ids))
		id := f.ids[i]
		f.ids[i] = f.ids[len(f.ids)-1]
		f.ids = f.ids[:len(f.ids)-1]
		if p, ok := f.pods[id]; ok && p.grant.Node != "" {
			f.leave(id)
			return []sched.Event{sched.WorkloadGone{ID: p.workload}}
		}
	}
}

// decideAndClear decides once, on the clock, and lets whoever was evicted go
// and be recreated, off it.
func (f *filler) decideAndClear() (int, error) {
	ds, err := f.decide()
	if err != nil {
		return 0, err
	}
	spent := f.spent
	for _, d := range ds {
		if d.Action != sched.Start {
			f.apply(f.leave(d.Pod), sched.WorkloadGone{ID: d.Workload})
		}
	}
	if len(ds) > 0 {
		if _, err := f.decide(); err != nil {
			return 0, err
		}
	}
	f.spent = spent
	return len(ds), nil
}

func residentMiB() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

func heapMiB() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse) / (1 << 20)
}
