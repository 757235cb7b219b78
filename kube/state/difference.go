package state

import (
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// difference collects what changed, to be told in an order in which nothing
// refers to what is not known yet.
type difference struct {
	podsGone      []sched.Event // PodGone, Vacated
	workloadsGone []sched.Event
	grounds       []sched.Event // pools, owners and nodes that are there
	groundsGone   []sched.Event // and those that are not
	groups        []string      // whose WorkloadSet or WorkloadGone may be due
	pods          []sched.Event // PodSet, PodGranted, PodLeaving, Occupied
}

// touch notes that a group may have to be told anew.
func (d *difference) touch(id string) { d.groups = append(d.groups, id) }

func (d *difference) events(s *State) []sched.Event {
	var workloads []sched.Event
	slices.Sort(d.groups)
	for _, id := range slices.Compact(d.groups) {
		switch ev := s.tellGroup(id).(type) {
		case sched.WorkloadSet:
			workloads = append(workloads, ev)
		case sched.WorkloadGone:
			d.workloadsGone = append(d.workloadsGone, ev)
		}
	}
	return slices.Concat(d.podsGone, d.workloadsGone, d.grounds, d.groundsGone, workloads, d.pods)
}
