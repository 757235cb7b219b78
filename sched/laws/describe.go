package laws

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sched"
)

// describe tells an event in one line.
func describe(ev sched.Event) string {
	switch ev := ev.(type) {
	case sched.PoolSet:
		return fmt.Sprintf("pool %s places %q and %q, surplus run time %d ms", ev.Pool.Name,
			ev.Pool.GPUPlacement, ev.Pool.CPUPlacement, ev.Pool.SurplusRuntime)
	case sched.NodeSet:
		return "node " + describeNode(ev.Node)
	case sched.OwnerSet:
		return "owner " + describeOwner(ev.Owner)
	case sched.WorkloadSet:
		return "workload " + describeWork(ev.Workload)
	case sched.PodSet:
		return fmt.Sprintf("pod %s asks for %s", ev.Pod.ID, describeAsk(ev.Pod.Ask))
	}
	name := strings.TrimPrefix(reflect.TypeOf(ev).String(), "sched.")
	return strings.TrimSpace(fmt.Sprintf("%s %+v", name, ev))
}

func describeNode(n sched.Node) string {
	s := fmt.Sprintf("%s of pool %s, CPU %dm, memory %d GiB, %d pods, other %v", n.Name, n.Pool,
		n.Capacity.CPU, n.Capacity.Memory>>30, n.Capacity.Pods, n.Capacity.Other)
	for _, d := range n.Devices {
		s += fmt.Sprintf(", %s %s %d MiB", d.Name, d.Model, d.MemoryMiB)
		if d.Unhealthy {
			s += " unhealthy"
		}
	}
	return s + flags(map[string]bool{"counted": n.Counted, "unschedulable": n.Unschedulable})
}

func describeOwner(o sched.Owner) string {
	s := o.Name
	if o.Parent != "" {
		s += " in " + o.Parent
	}
	for _, pool := range sortedKeys(o.Pools) {
		p := o.Pools[pool]
		s += fmt.Sprintf(", pool %s quota %s limit %s weight %d band %d",
			pool, describeAmount(p.Quota), describeAmount(p.Limit), p.Weight, p.Priority)
	}
	return s
}

func describeAmount(a sched.Amount) string { return fmt.Sprintf("%d/%d/%d", a.GPU, a.CPU, a.Memory) }

func describeWork(w sched.Workload) string {
	s := fmt.Sprintf("%s of %s, priority %d, min %d, moves %d", w.ID, w.Owner, w.Priority, w.Min, w.Moves)
	if w.MinRuntime > 0 {
		s += fmt.Sprintf(", min runtime %d ms", w.MinRuntime)
	}
	if len(w.Pools) > 0 {
		s += fmt.Sprintf(", pools %v", w.Pools)
	}
	return s + flags(map[string]bool{"preemptible": w.Preemptible, "suspended": w.Suspended})
}

func describeAsk(a sched.Ask) string {
	s := fmt.Sprintf("%d devices", a.Devices)
	if !a.Part.IsWhole() {
		s += fmt.Sprintf(" of each %+v", a.Part)
	}
	if len(a.Models) > 0 {
		s += fmt.Sprintf(", models %v", a.Models)
	}
	s += fmt.Sprintf(", CPU %dm, memory %d GiB", a.CPU, a.Memory>>30)
	if len(a.Other) > 0 {
		s += fmt.Sprintf(", other %v", a.Other)
	}
	if a.Fit != "" {
		s += ", " + a.Fit
	}
	return s
}

func flags(set map[string]bool) string {
	var s string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if set[name] {
			s += ", " + name
		}
	}
	return s
}
