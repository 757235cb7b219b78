package plan

import (
	"github.com/weir-gpu/weir/kube/plan/result"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// The answer. It is a package of its own for those who only print it.
type (
	Result   = result.Plan
	Decision = result.Decision
	Device   = result.Device
	Waiting  = result.Waiting
)

func decisionOf(d sched.Decision) Decision {
	out := Decision{
		Action: string(d.Action), Pod: d.Pod, Node: d.Grant.Node, Devices: devicesOf(d.Grant), Rule: string(d.Rule),
	}
	if d.For != "" {
		out.For = workload.Display(d.For)
	}
	return out
}

func promiseOf(p sched.Promise) Decision {
	return Decision{
		Action: string(sched.Start), Pod: p.Pod, Node: p.Grant.Node, Devices: devicesOf(p.Grant), After: p.After,
	}
}

func devicesOf(g sched.Grant) []Device {
	var devices []Device
	for _, s := range g.Devices {
		devices = append(devices, Device{Device: s.Device, MemoryMiB: s.MemoryMiB, ComputeMilli: s.ComputeMilli})
	}
	return devices
}

func waitingOf(id, reason, message string) Waiting {
	return Waiting{Workload: workload.Display(id), Reason: reason, Message: message}
}
