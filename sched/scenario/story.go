package scenario

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// story is one story while it runs.
type story struct {
	ledger  *laws.Ledger
	engine  *sched.Engine
	fitness classes
	lasting map[string]bool // workloads whose pods are recreated when stopped
	asks    map[string]sched.Ask
	named   int // nodes
	podsOf  map[string]int
	harmed  map[string]bool

	// round is what was decided since something last happened.
	round    []sched.Decision
	happened bool // something did, and the engine was not asked since
	leaving  []sched.Decision
	moved    map[string]bool
}

// classes is the stories' node fitness: a pod that asks for a class fits the
// nodes of that class.
type classes map[string]string

func (c classes) Fits(fit, node string, _ []sched.Placement) string {
	if c[node] == fit {
		return ""
	}
	return fmt.Sprintf("node %s is not %s", node, fit)
}

func (classes) Moving(string) bool { return false }

// begin is the time at which stories begin.
const begin = sched.Time(1_000_000_000)

func newStory() *story {
	fitness := classes{}
	s := &story{
		ledger: laws.NewLedger(fitness), fitness: fitness,
		engine:  sched.New(sched.Config{Fitness: fitness, Levels: laws.Levels}),
		lasting: map[string]bool{}, asks: map[string]sched.Ask{}, podsOf: map[string]int{},
		harmed: map[string]bool{}, moved: map[string]bool{},
	}
	s.ledger.Now = begin
	return s
}

// tell passes events to the engine.
func (s *story) tell(evs ...sched.Event) error {
	if !s.happened {
		s.happened, s.round = true, nil
		clear(s.harmed)
	}
	return s.apply(evs...)
}

// apply passes events on without beginning a new round.
func (s *story) apply(evs ...sched.Event) error {
	for _, ev := range evs {
		if err := s.engine.Apply(ev); err != nil {
			return fmt.Errorf("the engine refuses %T: %w", ev, err)
		}
		s.ledger.Tell(ev)
	}
	return nil
}

// mostRounds bounds how often the engine may be asked before it is quiet.
const mostRounds = 100

// decide asks the engine until it is quiet.
func (s *story) decide() error {
	s.happened = false
	for range mostRounds {
		before := s.ledger.Clone()
		ds := s.engine.Decide(s.ledger.Now)
		for _, d := range ds {
			s.ledger.Do(d)
			if d.Action != sched.Start { // what resumes settles in
				s.leaving = append(s.leaving, d)
			}
		}
		s.round = append(s.round, ds...)
		s.ledger.Promised(s.engine.Promises())
		if b := laws.CheckRound(laws.Round{Before: before, Decisions: ds, After: s.ledger, Harmed: s.harmed}); b != nil {
			return b
		}
		if len(ds) == 0 && !s.engine.More() {
			return nil
		}
	}
	return fmt.Errorf("the engine is not quiet after %d answers; the last decisions are %+v", mostRounds, s.round)
}

// settle lets stopped pods go and their successors come, until nothing moves.
func (s *story) settle() error {
	for range mostRounds {
		if err := s.decide(); err != nil {
			return err
		}
		if len(s.leaving) == 0 {
			return nil
		}
		gone := s.leaving
		s.leaving = nil
		for _, d := range gone {
			if err := s.leave(d); err != nil {
				return err
			}
		}
		clear(s.moved)
	}
	return fmt.Errorf("pods are still being stopped after %d rounds; the last decisions are %+v", mostRounds, s.round)
}

// leave lets one stopped pod go. Its controller, if it has one, recreates it.
func (s *story) leave(d sched.Decision) error {
	p, ok := s.ledger.Pods[d.Pod]
	if !ok {
		return nil
	}
	switch {
	case d.Action == sched.Suspend:
		return s.apply(sched.PodSuspended{ID: d.Pod, Node: d.Grant.Node, HostMiB: d.HostMiB})
	case d.Action == sched.Resume && p.Running():
		return s.apply(sched.PodGranted{ID: d.Pod, Grant: p.Grant, Since: p.Since})
	case d.Action == sched.Resume:
		return nil
	}
	evs := []sched.Event{sched.PodLeaving{ID: d.Pod}, sched.PodGone{ID: d.Pod}}
	w := s.ledger.Works[p.Workload]
	if d.Action == sched.Move && !s.moved[w.ID] {
		s.moved[w.ID] = true
		w.Moves--
		evs = append(evs, sched.WorkloadSet{Workload: w})
	}
	switch {
	case s.lasting[w.ID] || d.Action == sched.Move:
		evs = append(evs, sched.PodSet{Workload: w.ID, Pod: sched.Pod{ID: s.podName(w.ID), Ask: p.Ask}})
	case len(s.ledger.Of(w.ID, everyPod)) == 1:
		evs = append(evs, sched.WorkloadGone{ID: w.ID})
	}
	return s.apply(evs...)
}

func everyPod(laws.Pod) bool { return true }

func (s *story) podName(workload string) string {
	s.podsOf[workload]++
	return fmt.Sprintf("%s-%d", workload, s.podsOf[workload]-1)
}

// restart replaces the engine by one that knows the objects alone.
func (s *story) restart() error {
	e := sched.New(sched.Config{Fitness: s.fitness, Levels: laws.Levels})
	for _, ev := range s.ledger.Objects() {
		if err := e.Apply(ev); err != nil {
			return fmt.Errorf("the restarted engine refuses %T: %w", ev, err)
		}
	}
	s.engine = e
	s.ledger.Held = map[string]sched.Promise{}
	s.happened, s.round = true, nil
	return nil
}

func (s *story) rest() laws.Rest { return laws.Rest{Ledger: s.ledger, Engine: s.engine} }

// state tells where everybody is, for failing stories.
func (s *story) state() string {
	out := "decided since something last happened:\n"
	for _, d := range s.round {
		out += fmt.Sprintf("  %s %s on %s %v %s %s\n", d.Action, d.Pod, d.Grant.Node, d.Grant.Devices, d.Rule, d.For)
	}
	out += "pods:\n"
	for _, id := range slices.Sorted(maps.Keys(s.ledger.Pods)) {
		p := s.ledger.Pods[id]
		out += fmt.Sprintf("  %s on %q %v leaving=%t\n", id, p.Grant.Node, p.Grant.Devices, p.Leaving)
	}
	for _, id := range s.engine.Waiting() {
		ex, _ := s.engine.Explain(id)
		out += fmt.Sprintf("  %s waits: %s: %s\n", id, ex.Reason, ex.Message)
	}
	return out
}
