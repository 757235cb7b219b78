package openb

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"
)

// DefaultArrivals is how long the trace's pods take to arrive at speed 1.
const DefaultArrivals = 100 * time.Second

// The part of the trace that is played, in seconds of the trace; the few pods
// from before come at its start.
const (
	playedFrom  = 9_900_000
	playedUntil = 12_901_761 // the last arrival
)

// Options of a plan.
type Options struct {
	// Speed divides all times; 0 is 1, at which pods arrive for
	// DefaultArrivals.
	Speed float64
	// TraceOnly leaves out the gangs.
	TraceOnly bool
}

// Item is one thing that is submitted: a pod of the trace or a gang.
type Item struct {
	Project string
	Name    string
	At      time.Duration // from the start of the replay
	Run     time.Duration // from when it is placed to when it ends
	Pods    int
	Micro   int64 // micro-GPUs that all its pods ask for

	object func() Object
}

// Object returns what is to be created, in the namespace of the project; each
// call returns an object of its own. Its pods carry [RunAnnotation].
func (i *Item) Object() Object { return i.object() }

// Schedule is a replay: items in order of arrival, then of project and name.
type Schedule struct{ Items []Item }

// Plan returns the replay of the embedded trace by the sample organisation.
func Plan(o Options) (*Schedule, error) {
	pods, err := Pods()
	if err != nil {
		return nil, err
	}
	return PlanOf(pods, o)
}

// PlanOf returns the replay of pods of another trace of the same span.
func PlanOf(pods []Pod, o Options) (*Schedule, error) {
	if o.Speed == 0 {
		o.Speed = 1
	}
	if !(o.Speed >= 0.001 && o.Speed <= 1000) {
		return nil, fmt.Errorf("speed is %v: write a number from 0.001 to 1000, 2 is twice as fast", o.Speed)
	}
	s := &Schedule{Items: make([]Item, 0, len(pods)+len(gangs))}
	for i := range pods {
		s.Items = append(s.Items, podItem(&pods[i], o.Speed))
	}
	if !o.TraceOnly {
		for i := range gangs {
			s.Items = append(s.Items, gangItem(&gangs[i], o.Speed))
		}
	}
	slices.SortFunc(s.Items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Name, b.Name))
	})
	return s, nil
}

func podItem(p *Pod, speed float64) Item {
	project, run := Assign(*p), scale(Compress(p.RunTime()), speed)
	return Item{
		Project: project, Name: p.Name, At: scale(arrival(*p), speed), Run: run, Pods: 1, Micro: p.MicroGPU(),
		object: func() Object {
			pod := p.Object(project)
			pod.Annotations[RunAnnotation] = run.String()
			return pod
		},
	}
}

func gangItem(g *Gang, speed float64) Item {
	run := scale(g.Run, speed)
	return Item{
		Project: g.Project, Name: g.Name, At: scale(g.At, speed), Run: run, Pods: int(g.Pods),
		Micro: int64(g.Pods) * g.GPUs * 1_000_000,
		object: func() Object {
			job := g.Object(g.Project)
			job.Spec.Template.Annotations = map[string]string{RunAnnotation: run.String()}
			return job
		},
	}
}

// arrival is when a pod comes, at speed 1.
func arrival(p Pod) time.Duration {
	since := min(max(p.Created-playedFrom, 0), playedUntil-playedFrom)
	return time.Duration(float64(DefaultArrivals) * float64(since) / (playedUntil - playedFrom)).Round(time.Millisecond)
}

// Compress returns how long a pod runs in the replay, at speed 1, that ran for
// d in the trace.
func Compress(d time.Duration) time.Duration {
	seconds := 60 + 20*math.Log2(1+d.Minutes())
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
}

func scale(d time.Duration, speed float64) time.Duration {
	return time.Duration(float64(d) / speed).Round(time.Millisecond)
}

// Action is what a step does.
type Action string

// The actions.
const (
	Create Action = "create"
	Finish Action = "finish"
)

// Step is one thing that happens to an item.
type Step struct {
	At     time.Duration
	Action Action
	Item   *Item
}

// Steps yields everything that happens in order of time, as if every item were
// placed when it comes. Where items wait, as in a cluster, Run counts from
// when they are placed; a simulated node sees to that by [RunAnnotation], and
// the caller needs the Items alone.
func (s *Schedule) Steps() iter.Seq[Step] {
	return func(yield func(Step) bool) {
		var running endings
		for i := range s.Items {
			item := &s.Items[i]
			for len(running) > 0 && running[0].At <= item.At {
				if !yield(heap.Pop(&running).(Step)) {
					return
				}
			}
			if !yield(Step{item.At, Create, item}) {
				return
			}
			heap.Push(&running, Step{item.At + item.Run, Finish, item})
		}
		for len(running) > 0 {
			if !yield(heap.Pop(&running).(Step)) {
				return
			}
		}
	}
}

// endings is a heap of steps by time.
type endings []Step

func (e endings) Len() int      { return len(e) }
func (e endings) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e endings) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(e[i].At, e[j].At), cmp.Compare(e[i].Item.Project, e[j].Item.Project),
		cmp.Compare(e[i].Item.Name, e[j].Item.Name)) < 0
}
func (e *endings) Push(step any) { *e = append(*e, step.(Step)) }
func (e *endings) Pop() any {
	last := len(*e) - 1
	step := (*e)[last]
	*e = (*e)[:last]
	return step
}
