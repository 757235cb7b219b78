package plan

import (
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// Result is what the scheduler would do now. docs/reference/plan.md documents
// its JSON.
type Result struct {
	Decisions []Decision `json:"decisions"`
	Waiting   []Waiting  `json:"waiting"`
	// Notes are about the input, for people: what was left out or assumed.
	Notes []string `json:"-"`
}

// Decision is one thing that the scheduler would do, in the order in which it
// would do it.
type Decision struct {
	Action  string   `json:"action"` // start, evict or move
	Pod     string   `json:"pod"`
	Node    string   `json:"node,omitempty"`
	Devices []Device `json:"devices,omitempty"`
	After   []string `json:"after,omitempty"` // pods that have to leave before
	For     string   `json:"for,omitempty"`   // the workload that it makes room for
	Rule    string   `json:"rule,omitempty"`  // reclaim, preempt or consolidate
}

// Device is a part of a device that a pod gets.
type Device struct {
	Device       string `json:"device"`
	MemoryMiB    int64  `json:"memoryMiB"`
	ComputeMilli int64  `json:"computeMilli"`
}

// Waiting is a workload of which pods wait, and why.
type Waiting struct {
	Workload string `json:"workload"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
}

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
		devices = append(devices, Device{s.Device, s.MemoryMiB, s.ComputeMilli})
	}
	return devices
}

func waitingOf(id, reason, message string) Waiting {
	return Waiting{Workload: workload.Display(id), Reason: reason, Message: message}
}
