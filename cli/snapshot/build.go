package snapshot

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/sched"
)

// Engine is what a snapshot asks of the decision engine.
type Engine interface {
	Explain(id string) (sched.Explanation, bool)
	Usage() []sched.Use
}

// Phases tells the phase of a pod by its ID; it may be nil.
type Phases func(pod string) string

// Build makes the view of what the ledger holds. The engine has to have been
// told of the same events.
func Build(now time.Time, l *Ledger, e Engine, phase Phases) *View {
	if phase == nil {
		phase = func(string) string { return "" }
	}
	v := &View{Time: now, Explain: e.Explain}
	if f, ok := e.(interface{ Outlook(id string) string }); ok {
		v.brief.outlook = f.Outlook
	}
	v.Nodes = l.viewNodes()
	v.Pools = l.viewPools(v.Nodes)
	v.Workloads = l.viewWorkloads(phase)
	v.Owners = l.viewOwners(e.Usage())
	return v
}

// poolOf is the name under which people know a pool.
func poolOf(name string) string { return cmp.Or(name, "default") }

func (l *Ledger) viewWorkloads(phase Phases) []Workload {
	byID := map[string]*Workload{}
	list := make([]Workload, 0, len(l.workloads))
	for _, id := range slices.Sorted(maps.Keys(l.workloads)) {
		list = append(list, viewWorkload(l.workloads[id]))
	}
	for i := range list {
		byID[list[i].ID] = &list[i]
	}
	for _, id := range slices.Sorted(maps.Keys(l.pods)) {
		p := l.pods[id]
		w := byID[p.workload]
		if w == nil {
			continue
		}
		_, name, _ := strings.Cut(id, "/")
		w.Pods = append(w.Pods, Pod{
			Name: name, Phase: phase(id), Ask: p.ask,
			Node: p.grant.Node, Devices: sharesOf(p.grant.Devices),
			Since: moment(p.since), Leaving: p.leaving,
		})
	}
	for i := range list {
		list[i].Status = statusOf(&list[i], l.workloads[list[i].ID].Suspended)
	}
	return list
}

func viewWorkload(w sched.Workload) Workload {
	ref := splitID(w.ID)
	v := Workload{
		ID: w.ID, Namespace: ref.Namespace, Object: ref.Object, Name: ref.Name,
		Kind: w.Kind, Project: strings.TrimPrefix(w.Owner, "project/"),
		Priority: w.Priority, Preemptible: w.Preemptible, NodePools: w.Pools,
		Min: w.Min, Submitted: moment(w.Submitted),
	}
	if w.MinRuntime > 0 {
		v.MinRuntime = quantity.Duration(time.Duration(w.MinRuntime) * time.Millisecond)
	}
	return v
}

// statusOf is the one word for how a workload is, judged by its pods.
func statusOf(w *Workload, suspended bool) Status {
	placed, running, leaving := 0, 0, 0
	for _, p := range w.Pods {
		switch {
		case p.Leaving:
			leaving++
		case p.Placed():
			placed++
			if p.Phase == "Running" || p.Phase == "" {
				running++
			}
		}
	}
	enough := max(w.Min, 1)
	switch {
	case running >= enough:
		return Running
	case placed >= enough:
		return Starting
	case suspended && placed == 0:
		return Suspended
	case leaving > 0 && leaving == len(w.Pods):
		return Leaving
	}
	return Waiting
}

func (l *Ledger) viewOwners(uses []sched.Use) []Owner {
	byName := map[string][]Use{}
	for _, u := range uses {
		settings := l.owners[u.Owner].Pools[u.Pool]
		byName[u.Owner] = append(byName[u.Owner], Use{
			Pool: poolOf(u.Pool), Quota: Amount(u.Quota), Limit: Amount(u.Limit),
			Requested: Amount(u.Requested), Granted: Amount(u.Granted),
			Borrowed: Amount(u.Borrowed), Lent: Amount(u.Lent),
			Weight: settings.Weight, Priority: settings.Priority,
			Running: u.Running, Waiting: u.Waiting,
		})
	}
	var list []Owner
	for _, o := range l.ownerTree() {
		kind, name, _ := strings.Cut(o.Name, "/")
		_, parent, _ := strings.Cut(o.Parent, "/")
		list = append(list, Owner{Name: name, Kind: kind, Parent: parent, Pools: byName[o.Name]})
	}
	return list
}

// ownerTree lists the owners so that each stands right after its parent.
func (l *Ledger) ownerTree() []sched.Owner {
	children := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(l.owners)) {
		parent := l.owners[name].Parent
		if _, known := l.owners[parent]; !known {
			parent = ""
		}
		children[parent] = append(children[parent], name)
	}
	var list []sched.Owner
	var walk func(parent string)
	walk = func(parent string) {
		for _, name := range children[parent] {
			list = append(list, l.owners[name])
			walk(name)
		}
	}
	walk("")
	return list
}

// moment is the engine's time as Go has it; zero stays zero.
func moment(t sched.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}
