package laws

import (
	"cmp"
	"maps"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// Objects returns what the API objects alone say, as the events that tell a
// fresh engine of it: nodes, owners, workloads and pods as they are now, what
// each pod holds, and which pods are being deleted. The order within each kind
// is the reverse of the usual one, since nobody promises an order. What pods to
// expect is in no object; it is told again, last, by whoever remembers it.
func (l *Ledger) Objects() []sched.Event {
	var evs []sched.Event
	for _, name := range backwards(l.Pools) {
		evs = append(evs, sched.PoolSet{Pool: l.Pools[name]})
	}
	for _, name := range backwards(l.Nodes) {
		evs = append(evs, sched.NodeSet{Node: l.Nodes[name]})
	}
	for _, name := range l.parentsFirst() {
		evs = append(evs, sched.OwnerSet{Owner: l.Owners[name]})
	}
	for _, id := range backwards(l.Works) {
		evs = append(evs, sched.WorkloadSet{Workload: l.Works[id]})
	}
	for _, id := range backwards(l.Foreign) {
		evs = append(evs, l.Foreign[id])
	}
	for _, id := range backwards(l.Pods) {
		p := l.Pods[id]
		evs = append(evs, sched.PodSet{Workload: p.Workload, Pod: sched.Pod{ID: id, Ask: p.Ask}})
		if p.Aside != nil && p.Grant.Node == "" {
			evs = append(evs, sched.PodSuspended{ID: id, Node: p.Aside.Node, HostMiB: p.Aside.MiB})
		}
		if p.Grant.Node != "" {
			evs = append(evs, sched.PodGranted{ID: id, Grant: p.Grant, Since: p.Since})
		}
		if p.Leaving {
			evs = append(evs, sched.PodLeaving{ID: id})
		}
	}
	mix := sched.Expect{Pods: slices.Clone(l.Mix.Pods)}
	slices.Reverse(mix.Pods)
	return append(evs, mix)
}

func (l *Ledger) parentsFirst() []string {
	names := backwards(l.Owners)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(len(l.Chain(a)), len(l.Chain(b))) })
	return names
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func backwards[V any](m map[string]V) []string {
	names := sortedKeys(m)
	slices.Reverse(names)
	return names
}
