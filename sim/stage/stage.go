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
	left   []Left
}

// Left is a pod that was stopped and has not gone yet.
type Left struct {
	Work *Work
	Pod  sched.Pod
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

// Decide asks the engine until it has nothing more to say. What it stops is gone
// the next time that it is asked, and waits again. Each decision is shown to did.
func (s *Stage) Decide(now sched.Time, did func(*sched.Decision) error) error {
	for {
		quiet, err := s.once(now, did)
		if err != nil {
			return err
		}
		if err := s.allGo(); err != nil {
			return err
		}
		if quiet {
			return nil
		}
	}
}

// Settle asks the engine until it has nothing more to say, and leaves it to the
// caller when what it stops goes, and comes again; see [Stage.Next].
func (s *Stage) Settle(now sched.Time, did func(*sched.Decision) error) error {
	for {
		if quiet, err := s.once(now, did); quiet || err != nil {
			return err
		}
	}
}

// Next returns the pod that was stopped first and has not been returned yet.
func (s *Stage) Next() (next Left, ok bool) {
	if len(s.left) == 0 {
		return Left{}, false
	}
	next, s.left = s.left[0], s.left[1:]
	return next, true
}

// once asks the engine once. It reports whether it has nothing more to say.
func (s *Stage) once(now sched.Time, did func(*sched.Decision) error) (quiet bool, err error) {
	decisions := s.Engine.Decide(now)
	for i := range decisions {
		d := &decisions[i]
		if err := did(d); err != nil {
			return false, err
		}
		if d.Action != sched.Evict {
			continue
		}
		w, at := s.works[d.Workload], -1
		if w != nil {
			at = slices.IndexFunc(w.Pods, func(p sched.Pod) bool { return p.ID == d.Pod })
		}
		if at < 0 {
			return false, fmt.Errorf("the engine decided to %s pod %q of workload %q, which is not there",
				d.Action, d.Pod, d.Workload)
		}
		s.left = append(s.left, Left{w, w.Pods[at]})
	}
	return len(decisions) == 0 && !s.Engine.More(), nil
}

// allGo lets all pods go that were stopped, and come again, work by work.
func (s *Stage) allGo() error {
	for len(s.left) > 0 {
		w := s.left[0].Work
		var pods []sched.Pod
		s.left = slices.DeleteFunc(s.left, func(l Left) bool {
			if l.Work == w {
				pods = append(pods, l.Pod)
			}
			return l.Work == w
		})
		if err := s.Again(w, pods); err != nil {
			return err
		}
	}
	return nil
}
