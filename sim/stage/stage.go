// Package stage plays the cluster to a decision engine: it tells the engine of
// work that comes and ends, and carries out at once what the engine decides.
// What was stopped waits anew, as whoever made it would make it again.
//
// It is how simulations drive the engine. It keeps no time, measures nothing
// and decides nothing; who plays with it does the former two.
package stage

import (
	"fmt"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// Work is a workload with its pods.
type Work struct {
	sched.Workload
	Pods []sched.Pod
}

// Stage is an engine and the work that it was told of.
type Stage struct {
	Engine *sched.Engine
	works  map[string]*Work // submitted and not ended
}

// New returns a stage without nodes and owners.
func New(cfg sched.Config) *Stage {
	return &Stage{Engine: sched.New(cfg), works: map[string]*Work{}}
}

// Tell tells the engine of anything but work.
func (s *Stage) Tell(events ...sched.Event) error {
	for _, ev := range events {
		if err := s.Engine.Apply(ev); err != nil {
			return err
		}
	}
	return nil
}

// Submit brings in work, whose pods wait for a place from now on.
func (s *Stage) Submit(w *Work) error {
	s.works[w.ID] = w
	if err := s.Tell(sched.WorkloadSet{Workload: w.Workload}); err != nil {
		return err
	}
	return s.ask(w, w.Pods)
}

// End takes work away, with all its pods.
func (s *Stage) End(w *Work) error {
	delete(s.works, w.ID)
	return s.Tell(sched.WorkloadGone{ID: w.ID})
}

// EndPod takes one pod of work away. With the last one the work has ended.
func (s *Stage) EndPod(w *Work, id string) error {
	w.Pods = slices.DeleteFunc(slices.Clone(w.Pods), func(p sched.Pod) bool { return p.ID == id })
	if len(w.Pods) == 0 {
		return s.End(w)
	}
	return s.Tell(sched.PodGone{ID: id})
}

// Again lets pods of work wait anew, wherever they were.
func (s *Stage) Again(w *Work, pods []sched.Pod) error {
	for _, p := range pods {
		if err := s.Tell(sched.PodGone{ID: p.ID}); err != nil {
			return err
		}
	}
	return s.ask(w, pods)
}

func (s *Stage) ask(w *Work, pods []sched.Pod) error {
	for _, p := range pods {
		if err := s.Tell(sched.PodSet{Workload: w.ID, Pod: p}); err != nil {
			return err
		}
	}
	return nil
}

// Decide asks the engine until it has nothing more to say, and does what it
// says. Each decision is shown to did.
func (s *Stage) Decide(now sched.Time, did func(*sched.Decision) error) error {
	for {
		decisions := s.Engine.Decide(now)
		for i := range decisions {
			if err := did(&decisions[i]); err != nil {
				return err
			}
		}
		if err := s.stop(decisions); err != nil {
			return err
		}
		if len(decisions) == 0 && !s.Engine.More() {
			return nil
		}
	}
}

// stop lets the pods go that are to be evicted. They come again.
func (s *Stage) stop(decisions []sched.Decision) error {
	var order []*Work
	stopped := map[*Work][]sched.Pod{}
	for i := range decisions {
		d := &decisions[i]
		if d.Action != sched.Evict {
			continue
		}
		w := s.works[d.Workload]
		at := -1
		if w != nil {
			at = slices.IndexFunc(w.Pods, func(p sched.Pod) bool { return p.ID == d.Pod })
		}
		if at < 0 {
			return fmt.Errorf("the engine decided to %s pod %q of workload %q, which is not there", d.Action, d.Pod, d.Workload)
		}
		if stopped[w] == nil {
			order = append(order, w)
		}
		stopped[w] = append(stopped[w], w.Pods[at])
	}
	for _, w := range order {
		if err := s.Again(w, stopped[w]); err != nil {
			return err
		}
	}
	return nil
}
