package openb

import (
	"cmp"
	"container/heap"
	"flag"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// replay plays a schedule with the engine alone, in virtual time: pods run
// from when they are placed, and whoever is evicted comes again at once.
type replay struct {
	t      *testing.T
	engine *sched.Engine
	events happenings
	turn   int
	pods   map[string]*player

	starts, finished int
	borrowed         int
	evicted          map[sched.Rule]map[string]int // pods, by rule and for whom
}

// player is a pod in the replay.
type player struct {
	id, workload string
	ask          sched.Ask
	run          time.Duration
	left         *int // pods of the workload that have not finished
	round        int  // counts evictions, so that an end that was planned before one is void
}

// happening is something due at a time.
type happening struct {
	at   time.Duration
	turn int
	do   func()
}

type happenings []happening

func (h happenings) Len() int      { return len(h) }
func (h happenings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h happenings) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].at, h[j].at), cmp.Compare(h[i].turn, h[j].turn)) < 0
}
func (h *happenings) Push(x any) { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

func newReplay(t *testing.T) *replay {
	r := &replay{
		t: t, engine: sched.New(sched.Config{}), pods: map[string]*player{},
		evicted: map[sched.Rule]map[string]int{},
	}
	nodes, err := Nodes()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range every(*part, nodes) {
		r.apply(sched.NodeSet{Node: exactNode(n)})
	}
	ds, ps := Organisation()
	for _, d := range ds {
		r.applyOwner(d)
	}
	for _, p := range ps {
		r.applyOwner(p)
	}
	return r
}

// exactNode is a node whose devices the scheduler knows one by one.
func exactNode(n Node) sched.Node {
	node := sched.Node{Name: n.Name, FitClass: "any", Capacity: sched.Resources{
		CPU: n.CPUMilli, Memory: n.MemoryMiB << 20, Pods: 110,
	}}
	mib, _ := GPUMemoryMiB(n.Model)
	for i := range n.GPUs {
		node.Devices = append(node.Devices, sched.Device{
			Name: fmt.Sprintf("gpu-%d", i), Model: n.Model, MemoryMiB: mib, ComputeMilli: sched.WholeCompute,
		})
	}
	return node
}

func (r *replay) apply(ev sched.Event) {
	r.t.Helper()
	if err := r.engine.Apply(ev); err != nil {
		r.t.Fatalf("%+v: %v", ev, err)
	}
}

func (r *replay) applyOwner(o interface{ Owner() (sched.Owner, error) }) {
	r.t.Helper()
	owner, err := o.Owner()
	if err != nil {
		r.t.Fatal(err)
	}
	for name, pool := range owner.Pools {
		pool.Quota.GPU /= int64(*part)
		owner.Pools[name] = pool
	}
	r.apply(sched.OwnerSet{Owner: owner})
}

func (r *replay) at(when time.Duration, do func()) {
	r.turn++
	heap.Push(&r.events, happening{when, r.turn, do})
}

// submit tells the engine of an item as the cluster would.
func (r *replay) submit(item *Item, now time.Duration) {
	w := sched.Workload{
		Owner: v1alpha1.ProjectOwner(item.Project), Kind: sched.Train, Priority: 50, Preemptible: true,
		Min: item.Pods, Submitted: sched.Time(now.Milliseconds()), Moves: 3,
	}
	var template *corev1.Pod
	switch obj := item.Object().(type) {
	case *corev1.Pod:
		words, err := ask.ReadWords(obj)
		if err != nil {
			r.t.Fatal(err)
		}
		w.ID, w.Kind, w.Preemptible, template = item.Project+"/pod/"+item.Name, words.Kind, *words.Preemptible, obj
	case *batchv1.Job:
		words, err := ask.ReadWords(obj)
		if err != nil {
			r.t.Fatal(err)
		}
		if words.Priority != nil {
			w.Priority = *words.Priority
		}
		w.ID, template = item.Project+"/job/"+item.Name, &corev1.Pod{Spec: obj.Spec.Template.Spec}
	}
	switch w.Kind {
	case sched.Infer:
		w.Priority = 125
	case sched.Build:
		w.Priority = 100
	}
	wants, err := ask.FromPod(template, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	wants.Fit = ""
	r.apply(sched.WorkloadSet{Workload: w})
	left := item.Pods
	for i := range item.Pods {
		p := &player{
			id: fmt.Sprintf("%s/%s-%d", item.Project, item.Name, i), workload: w.ID, ask: wants, run: item.Run, left: &left,
		}
		r.pods[p.id] = p
		r.apply(sched.PodSet{Workload: w.ID, Pod: sched.Pod{ID: p.id, Ask: wants}})
	}
}

// act carries out the engine's decisions.
func (r *replay) act(now time.Duration) {
	for {
		decisions := r.engine.Decide(sched.Time(now.Milliseconds()))
		for _, d := range decisions {
			p := r.pods[d.Pod]
			switch d.Action {
			case sched.Start:
				r.starts++
				if d.Borrowed {
					r.borrowed++
				}
				round := p.round
				r.at(now+p.run, func() { r.finish(p, round) })
			case sched.Evict, sched.Move:
				if r.evicted[d.Rule] == nil {
					r.evicted[d.Rule] = map[string]int{}
				}
				r.evicted[d.Rule][d.ForOwner]++
				p.round++
				r.apply(sched.PodGone{ID: p.id})
				r.apply(sched.PodSet{Workload: p.workload, Pod: sched.Pod{ID: p.id, Ask: p.ask}})
			}
		}
		if len(decisions) == 0 && !r.engine.More() {
			return
		}
	}
}

func (r *replay) finish(p *player, round int) {
	if p.round != round {
		return // evicted since
	}
	r.finished++
	r.apply(sched.PodGone{ID: p.id})
	delete(r.pods, p.id)
	if *p.left--; *p.left == 0 {
		r.apply(sched.WorkloadGone{ID: p.workload})
	}
}

// decideEvery is how long events are gathered before the engine is asked.
const decideEvery = 100 * time.Millisecond

// run plays until nothing is due any more.
func (r *replay) run(s *Schedule) {
	for i := range s.Items {
		item := &s.Items[i]
		r.at(item.At, func() { r.submit(item, item.At) })
	}
	for len(r.events) > 0 {
		now := r.events[0].at.Truncate(decideEvery) + decideEvery
		for len(r.events) > 0 && r.events[0].at <= now {
			heap.Pop(&r.events).(happening).do()
		}
		r.act(now)
	}
}

// part is how much of the trace is replayed: every n-th node and pod. The
// whole of it takes long where the cluster is full.
var part = flag.Int("openb.part", 8, "replay every n-th node and pod with the engine")

// every returns every n-th of all.
func every[T any](n int, all []T) (some []T) {
	for i := 0; i < len(all); i += n {
		some = append(some, all[i])
	}
	return some
}

// The story happens: what is lent is borrowed, comes back by reclaim, gives
// way to higher priorities, and in the end everything has run.
func TestReplayWithTheEngine(t *testing.T) {
	pods, err := Pods()
	if err != nil {
		t.Fatal(err)
	}
	s, err := PlanOf(every(*part, pods), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for i := range s.Items {
		if s.Items[i].Pods > 1 {
			s.Items[i].Pods = max(s.Items[i].Pods / *part, 1)
		}
		want += s.Items[i].Pods
	}
	r := newReplay(t)
	r.run(s)
	if r.finished != want {
		t.Errorf("%d of %d pods finished, waiting: %v", r.finished, want, r.engine.Waiting())
	}
	if r.borrowed == 0 {
		t.Error("nothing was borrowed")
	}
	for _, c := range []struct {
		rule   sched.Rule
		forWho string
	}{
		{sched.Reclaim, "project/assistant"},
		{sched.Preempt, "project/vision"},
		{sched.Preempt, "project/foundation"},
	} {
		if r.evicted[c.rule][c.forWho] == 0 {
			t.Errorf("no %s for %s: %v", c.rule, c.forWho, r.evicted)
		}
	}
	t.Logf("%d pods, %d starts of which %d borrowed; evicted %v", want, r.starts, r.borrowed, r.evicted)
}
