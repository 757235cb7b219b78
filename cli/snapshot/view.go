package snapshot

import (
	"time"

	"github.com/weir-gpu/weir/sched"
)

// View is the state of a cluster at one moment. Its JSON is what the weir
// command prints with -o json.
type View struct {
	Time      time.Time  `json:"time"`
	Pools     []Pool     `json:"pools"`
	Nodes     []Node     `json:"nodes"`
	Workloads []Workload `json:"workloads"`
	Owners    []Owner    `json:"owners"`
	Problems  []Problem  `json:"problems,omitempty"` // objects that are not in force

	// Explain answers for one workload; see [sched.Engine.Explain].
	Explain func(id string) (sched.Explanation, bool) `json:"-"`

	brief brief
}

// Pool is a node pool and what is in it.
type Pool struct {
	Name    string `json:"name"`
	Nodes   int    `json:"nodes"`
	Devices int    `json:"devices"`
	Granted GPUs   `json:"grantedGPUs"`
	// Shared devices hold parts; Free ones hold nothing and take grants.
	Shared    int `json:"sharedDevices"`
	Free      int `json:"freeDevices"`
	Unhealthy int `json:"unhealthyDevices"`
}

// Node is a machine, its devices and who holds them.
type Node struct {
	Name          string   `json:"name"`
	Pool          string   `json:"pool"`
	Unschedulable bool     `json:"unschedulable,omitempty"`
	Counted       bool     `json:"counted,omitempty"` // a device plugin picks the devices
	Devices       []Device `json:"devices"`
	CPU           Part     `json:"milliCPU"`
	Memory        Part     `json:"memoryBytes"`
	Pods          Part     `json:"pods"`
	Outside       int      `json:"outsidePods,omitempty"` // pods that are not Weir's
}

// Part is how much of a whole is taken.
type Part struct {
	Used int64 `json:"used"`
	Of   int64 `json:"of"`
}

// Device is one GPU and who holds it.
type Device struct {
	Name      string    `json:"name"`
	Model     string    `json:"model"`
	MemoryMiB int64     `json:"memoryMiB"`
	Unhealthy bool      `json:"unhealthy,omitempty"`
	Granted   GPUs      `json:"grantedGPUs"`
	Holdings  []Holding `json:"holdings,omitempty"`

	computeMilli int64
}

// Holding is what one pod has of a device.
type Holding struct {
	Pod          string `json:"pod"`
	Workload     string `json:"workload,omitempty"` // empty: not Weir's
	Whole        bool   `json:"whole,omitempty"`
	MemoryMiB    int64  `json:"memoryMiB"`
	ComputeMilli int64  `json:"computeMilli"`
}

// Status is the state of a workload in one word.
type Status string

// The statuses.
const (
	Waiting   Status = "Waiting"
	Starting  Status = "Starting" // has its place, its containers do not run yet
	Running   Status = "Running"
	Leaving   Status = "Leaving" // is being stopped
	Suspended Status = "Suspended"
	Succeeded Status = "Succeeded"
	Failed    Status = "Failed"
)

// Done reports whether a workload of this status has ended.
func (s Status) Done() bool { return s == Succeeded || s == Failed }

// Workload is a gang of pods.
type Workload struct {
	ID          string       `json:"id"` // namespace/kind/name
	Namespace   string       `json:"namespace"`
	Object      string       `json:"object"` // kind of the Kubernetes object, lower case
	Name        string       `json:"name"`
	Kind        sched.Kind   `json:"kind,omitempty"`
	Project     string       `json:"project,omitempty"`
	Status      Status       `json:"status"`
	Reason      sched.Reason `json:"reason,omitempty"`  // while it waits
	Message     string       `json:"message,omitempty"` // while it waits
	Position    int          `json:"position,omitempty"`
	Priority    int32        `json:"priority"`
	Preemptible bool         `json:"preemptible"`
	NodePools   []string     `json:"nodePools,omitempty"`
	Min         int          `json:"minPods"`
	MinRuntime  string       `json:"minRuntime,omitempty"`
	Pods        []Pod        `json:"pods"`
	Submitted   time.Time    `json:"submitted"`
}

// Pod is one pod of a workload.
type Pod struct {
	Name    string    `json:"name"`
	Phase   string    `json:"phase,omitempty"`
	Node    string    `json:"node,omitempty"`
	Devices []Share   `json:"devices,omitempty"`
	Since   time.Time `json:"since,omitzero"` // when it got its place
	Leaving bool      `json:"leaving,omitempty"`

	Ask sched.Ask `json:"-"`
}

// Placed reports whether the pod has a place.
func (p Pod) Placed() bool { return p.Node != "" }

// Owner is a department or a project and what it uses, by pool.
type Owner struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"` // department or project
	Parent string `json:"parent,omitempty"`
	Pools  []Use  `json:"pools"`
}

// Use is what an owner has in one pool.
type Use struct {
	Pool      string `json:"pool"`
	Quota     Amount `json:"quota"`
	Limit     Amount `json:"limit"`
	Requested Amount `json:"requested"`
	Granted   Amount `json:"granted"`
	Borrowed  Amount `json:"borrowed"`
	Lent      Amount `json:"lent"`
	Weight    int64  `json:"weight"`
	Priority  int32  `json:"priority"`
	Running   int    `json:"runningPods"`
	Waiting   int    `json:"waitingPods"`
}

// Find returns the workloads that a name means in a namespace: "name",
// "kind/name", "namespace/name" or "namespace/kind/name". A name of one of its
// pods means the workload too.
func (v *View) Find(namespace, ref string) []Workload {
	want := ParseRef(namespace, ref)
	var found []Workload
	for _, w := range v.Workloads {
		if want.Matches(w) {
			found = append(found, w)
		}
	}
	if len(found) > 0 {
		return found
	}
	for _, w := range v.Workloads {
		if want.MatchesPod(w) {
			found = append(found, w)
		}
	}
	return found
}
