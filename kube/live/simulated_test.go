package live_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/receipt"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/stage"
)

// moment is one fact that a scheduler is told, and all that it does thereupon.
type moment struct {
	step int
	what fact
	job  *taleJob
	pod  int
	does []string // in any order
}

// fact is what happens to a job, or to one of its pods.
type fact string

const (
	comesUp  fact = "is submitted"
	isEnding fact = "is deleted"
	goes     fact = "is gone"
	comes    fact = "comes again"
)

func (m moment) String() string {
	if m.what == comesUp {
		return fmt.Sprintf("step %d, %s/%s %s", m.step, m.job.project, m.job.name, m.what)
	}
	return fmt.Sprintf("step %d, %s %s", m.step, m.job.pod(m.pod), m.what)
}

// simulation is a tale played by the simulator.
type simulation struct {
	*tale
	stage   *stage.Stage
	begin   time.Time
	nodes   map[string]simnode.Spec
	works   map[*taleJob]*stage.Work
	jobs    map[*stage.Work]*taleJob
	places  map[string]bool // pods that run
	moments []moment
	seen    map[sched.Rule]int // evictions
}

// simulate plays a tale. Steps are seconds apart, since clusters know of many
// times the seconds only.
func (t *tale) simulate(begin time.Time) (*simulation, error) {
	s := &simulation{
		tale: t, stage: stage.New(sched.Config{}), begin: begin, nodes: map[string]simnode.Spec{},
		works: map[*taleJob]*stage.Work{}, jobs: map[*stage.Work]*taleJob{}, places: map[string]bool{},
		seen: map[sched.Rule]int{},
	}
	err := s.stage.Tell(sched.PoolSet{Pool: sched.Pool{Name: sched.DefaultPool, SurplusRuntime: t.spared.Milliseconds()}})
	for _, n := range t.nodes {
		s.nodes[n.Name] = n
		if err == nil {
			err = s.stage.Tell(sched.NodeSet{Node: nodeOf(n)})
		}
	}
	for _, p := range t.projects {
		quota := sched.Amount{GPU: p.quota * hundredth, CPU: sched.Unbounded, Memory: sched.Unbounded}
		owner := sched.Owner{Name: v1alpha1.ProjectOwner(p.name), Pools: map[string]sched.OwnerPool{
			sched.DefaultPool: {Quota: quota, Limit: sched.NoLimit, Weight: 1},
		}}
		if err == nil {
			err = s.stage.Tell(sched.OwnerSet{Owner: owner})
		}
	}
	for i := 0; i < len(t.steps) && err == nil; i++ {
		err = s.play(i)
	}
	return s, err
}

// play plays one step: pods that are stopped go one after the other, and come
// again before the next one goes.
func (s *simulation) play(i int) error {
	x := s.steps[i]
	if j := x.submit; j != nil {
		w := workOf(j, sched.Time(s.at(i).UnixMilli()))
		s.works[j], s.jobs[w] = w, j
		if err := s.happens(moment{step: i, what: comesUp, job: j}, s.stage.Submit(w)); err != nil {
			return err
		}
	} else if err := s.end(i, x.job, x.pod); err != nil {
		return err
	}
	for left, ok := s.stage.Next(); ok; left, ok = s.stage.Next() {
		j := s.jobs[left.Work]
		m := moment{step: i, what: goes, job: j, pod: j.number(left.Pod.ID)}
		if err := s.happens(m, s.stage.Tell(sched.PodGone{ID: left.Pod.ID})); err != nil {
			return err
		}
		m.what = comes
		if err := s.happens(m, s.stage.Tell(sched.PodSet{Workload: left.Work.ID, Pod: left.Pod})); err != nil {
			return err
		}
	}
	return nil
}

func (s *simulation) at(step int) time.Time { return s.begin.Add(time.Duration(step) * time.Second) }

// end lets a pod end, or take back its wish for a place.
func (s *simulation) end(i int, j *taleJob, pod int) error {
	m := moment{step: i, what: isEnding, job: j, pod: pod}
	if s.places[j.pod(pod)] {
		if err := s.happens(m, s.stage.Tell(sched.PodLeaving{ID: j.pod(pod)})); err != nil {
			return err
		}
	}
	m.what = goes
	return s.happens(m, s.stage.EndPod(s.works[j], j.pod(pod)))
}

// happens lets the engine decide after a fact, and writes down what it did.
func (s *simulation) happens(m moment, err error) error {
	if err != nil {
		return err
	}
	err = s.stage.Settle(sched.Time(s.at(m.step).UnixMilli()), func(d *sched.Decision) error {
		switch d.Action {
		case sched.Start:
			s.places[d.Pod] = true
			m.does = append(m.does, started(d.Pod, d.Grant, s.nodes[d.Grant.Node].Counted))
		case sched.Evict:
			s.seen[d.Rule]++
			delete(s.places, d.Pod)
			m.does = append(m.does, stopped(d.Pod, receipt.Why(d)))
		default:
			return fmt.Errorf("the engine decided to %s %s, which no tale is about", d.Action, d.Pod)
		}
		return nil
	})
	slices.Sort(m.does)
	s.moments = append(s.moments, m)
	return err
}

// started says what a pod was given. Which devices it has of a node that
// counts them, nobody says.
func started(pod string, g sched.Grant, counted bool) string {
	if counted {
		return fmt.Sprintf("%s starts on %s with %d GPUs", pod, g.Node, len(g.Devices))
	}
	var shares []string
	for _, s := range g.Devices {
		shares = append(shares, fmt.Sprintf("%s: %d MiB, %d milli", s.Device, s.MemoryMiB, s.ComputeMilli))
	}
	slices.Sort(shares)
	return fmt.Sprintf("%s starts on %s with %s", pod, g.Node, strings.Join(shares, "; "))
}

func stopped(pod, why string) string { return pod + " stops: " + why }

// nodeOf is a simulated node as the simulator knows it.
func nodeOf(n simnode.Spec) sched.Node {
	out := sched.Node{
		Name: n.Name, Counted: n.Counted,
		Capacity: sched.Resources{CPU: n.CPU, Memory: n.Memory, Pods: 110},
	}
	for i := range n.GPUs {
		out.Devices = append(out.Devices, sched.Device{
			Name: fmt.Sprintf("gpu-%d", i), Model: n.Model, MemoryMiB: n.MemoryMiB, ComputeMilli: sched.WholeCompute,
		})
	}
	return out
}

// workOf is a job as the simulator knows it, with the names that it has in a
// cluster: among equals names decide.
func workOf(j *taleJob, now sched.Time) *stage.Work {
	w := &stage.Work{Workload: sched.Workload{
		ID:    workload.Ref{Group: "batch", Kind: "Job", Namespace: j.project, Name: j.name}.ID(""),
		Owner: v1alpha1.ProjectOwner(j.project), Kind: sched.Train, Priority: j.priority, Preemptible: j.preemptible,
		Min: j.pods, Submitted: now,
	}}
	ask := sched.Ask{Devices: max(j.gpus, 1), Part: sched.Part{Fraction: j.part * hundredth},
		Resources: sched.Resources{CPU: 100, Memory: 64 << 20}}
	for i := range j.pods {
		w.Pods = append(w.Pods, sched.Pod{ID: j.pod(i), Ask: ask})
	}
	return w
}
