package webhook

import (
	"maps"
	"slices"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/admit"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/sched"
)

// absorb takes in what changed in the cluster.
func (s *Server) absorb(changes []watch.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		s.note(c)
		events := s.state.Set
		if c.Gone {
			events = s.state.Delete
		}
		for _, ev := range events(c.Object) {
			s.room.apply(ev)
		}
	}
}

// note keeps the objects that are asked for as they are.
func (s *Server) note(c watch.Change) {
	switch o := c.Object.(type) {
	case *v1alpha1.Department:
		keep(s.departments, o.Name, o, c.Gone)
	case *v1alpha1.Project:
		keep(s.projects, o.Name, o, c.Gone)
		s.move()
	case *v1alpha1.WorkloadRule:
		s.move() // once its kinds are in force, as that is looked at later
	case *v1alpha1.NodePool:
		keep(s.pools, o.Name, true, c.Gone && o.Name != v1alpha1.DefaultPool)
	}
}

func keep[T any](m map[string]T, name string, v T, gone bool) {
	if gone {
		delete(m, name)
		return
	}
	m[name] = v
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// room is what each node has when nothing runs on it.
type room map[string]admit.Room

func (r room) apply(ev sched.Event) {
	switch ev := ev.(type) {
	case sched.NodeSet:
		gpus := len(ev.Node.Devices)
		n := admit.Room{Devices: gpus, OnOneNode: gpus, OnePod: gpus}
		if !ev.Node.Counted {
			n.OnePod = min(gpus, ask.MaxDevices) // pods have them by a claim
		}
		for _, d := range ev.Node.Devices {
			n.MemoryMiB = max(n.MemoryMiB, d.MemoryMiB)
		}
		r[ev.Node.Name] = n
	case sched.NodeGone:
		delete(r, ev.Name)
	}
}

// sum is the largest ask that all nodes together, and the largest of them,
// can be given.
func (r room) sum() admit.Room {
	var all admit.Room
	for _, n := range r {
		all.Devices += n.Devices
		all.OnOneNode = max(all.OnOneNode, n.OnOneNode)
		all.OnePod = max(all.OnePod, n.OnePod)
		all.MemoryMiB = max(all.MemoryMiB, n.MemoryMiB)
	}
	return all
}
