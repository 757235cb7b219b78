// Package result is the answer of [github.com/weir-gpu/weir/kube/plan], as data:
// those who only print it need not link the planner, and with it kube-scheduler's
// plugins.
package result

// Plan is what the scheduler would do now. docs/reference/plan.md documents
// its JSON.
type Plan struct {
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
