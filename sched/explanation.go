package sched

// Reason is the one-word answer to why a workload waits.
type Reason string

// The reasons.
const (
	ReasonRunning    Reason = "Running"
	ReasonQueued     Reason = "Queued"              // not looked at yet, or behind others
	ReasonSuspended  Reason = "Suspended"           // by its user
	ReasonNoOwner    Reason = "NoProject"           // its owner is not known
	ReasonIncomplete Reason = "GangIncomplete"      // fewer pods exist than its minimum
	ReasonEvicting   Reason = "WaitingForEvictions" // its place is being cleared
	ReasonOverQuota  Reason = "OverQuota"           // not preemptible, and above a quota
	ReasonOverLimit  Reason = "OverLimit"           // above a limit
	ReasonNoPool     Reason = "NoNodePool"          // no pool has nodes
	ReasonNoModel    Reason = "NoSuchModel"         // no node has an allowed model
	ReasonTooLarge   Reason = "TooLarge"            // would not fit if all nodes were empty
	ReasonNoDevices  Reason = "NotEnoughGPUs"
	ReasonNoCPU      Reason = "NotEnoughCPU"
	ReasonNoMemory   Reason = "NotEnoughMemory"
	ReasonNoResource Reason = "NotEnoughResources"
	ReasonFitness    Reason = "NoFittingNode" // affinity, taints, volumes …
)

// Explanation is the structured answer to "why is it where it is". All
// sentences are for people; all numbers are also in fields.
type Explanation struct {
	Workload string
	Owner    string
	Reason   Reason
	Message  string // one sentence
	// Position is the workload's place (from 1) among the Waiting workloads of
	// its owner, 0 when it does not wait.
	Position int
	Waiting  int
	Asked    string // "4 pods × 8 GPUs of NVIDIA-H100, 16 CPU, 64 GiB"
	Findings []Finding
	Holders  []Holder
	Offers   []Offer
}

// Finding is one thing that was checked, with what it needs and what there is.
type Finding struct {
	Reason   Reason
	OK       bool
	Where    string // "pool default", "department research", "node n3"
	Message  string
	Unit     string // of the numbers: "microGPU", "milliCPU", "bytes", "pods", "nodes"
	Need     int64
	Have     int64
	Children []Finding
}

// Holder is somebody who has what the workload needs, and why it is not taken.
type Holder struct {
	Workload string
	Owner    string
	GPU      int64 // micro-GPUs held in the pool
	Why      string
}

// Offer is a change to the request under which it would start now.
type Offer struct {
	Message  string // "would start now with 6 GPUs per pod"
	Pods     int
	Devices  int    // 0 when as asked, of unequal pods
	Fraction int64  // micro; 0 when whole, or as asked
	Model    string // "" when any
	// Preemptible says that the offer is to make it preemptible.
	Preemptible bool
}
