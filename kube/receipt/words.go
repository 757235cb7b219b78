package receipt

import (
	"fmt"
	"strings"

	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// stopped says, per rule, how people hear of a pod that was stopped.
var stopped = map[sched.Rule]struct {
	reason string
	why    func(d *sched.Decision) string
}{
	sched.Reclaim: {"Reclaimed", func(d *sched.Decision) string {
		return fmt.Sprintf("it ran on borrowed GPUs, to which %s has the better right, for %s",
			Owner(d.ForOwner), workload.Display(d.For))
	}},
	sched.Preempt: {"Preempted", func(d *sched.Decision) string {
		return fmt.Sprintf("%s of the same project (%s) has a higher priority", workload.Display(d.For), Owner(d.ForOwner))
	}},
	sched.Consolidate: {"Moved", func(d *sched.Decision) string {
		return fmt.Sprintf("it moves to node %s, to make room for %s of %s",
			d.Grant.Node, workload.Display(d.For), Owner(d.ForOwner))
	}},
}

// Reason returns the one word for a pod's stop: Reclaimed, Preempted, Moved.
func Reason(d *sched.Decision) string {
	if s, ok := stopped[d.Rule]; ok {
		return s.reason
	}
	return "Evicted"
}

// Why says in a sentence why a pod is stopped.
func Why(d *sched.Decision) string {
	if s, ok := stopped[d.Rule]; ok {
		return "Stopped by Weir: " + s.why(d) + "."
	}
	return "Stopped by Weir."
}

// WhatNow says what becomes of the workload of a pod that was stopped.
func WhatNow(d *sched.Decision, controlled bool) string {
	switch {
	case !controlled:
		return "Nothing recreates a bare pod: submit it again, or run it as a Job."
	case d.Action == sched.Move:
		return "Its place on the other node is kept."
	}
	return "It waits and starts again when there is room."
}

// Placed says where a pod was started.
func Placed(d *sched.Decision, counted bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Started on node %s", d.Grant.Node)
	if n := len(d.Grant.Devices); n > 0 {
		b.WriteString(" with ")
		b.WriteString(devices(d.Grant.Devices, counted))
	}
	b.WriteString(".")
	if d.Borrowed {
		b.WriteString(" It runs on borrowed GPUs: their owner may take them back.")
	}
	return b.String()
}

func devices(shares []sched.Share, counted bool) string {
	if counted {
		if len(shares) == 1 {
			return "1 GPU"
		}
		return fmt.Sprintf("%d GPUs", len(shares))
	}
	names := make([]string, len(shares))
	for i, s := range shares {
		names[i] = s.Device
		if s.ComputeMilli < sched.WholeCompute {
			names[i] = fmt.Sprintf("%d MiB of %s", s.MemoryMiB, s.Device)
		}
	}
	return strings.Join(names, ", ")
}

// Owner names an owner of the engine for people: "project vision".
func Owner(name string) string { return strings.Replace(name, "/", " ", 1) }
