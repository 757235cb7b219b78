package sched

// Time is a moment in milliseconds since the Unix epoch. The engine has no
// clock; callers pass time in.
type Time int64

// Device is one physical accelerator as its node reports it.
type Device struct {
	Name         string // unique on its node, e.g. "gpu-3"
	Model        string // e.g. "NVIDIA-H100-80GB-HBM3"
	MemoryMiB    int64  // usable memory, not the data sheet's
	ComputeMilli int64  // WholeCompute for a whole device
	Unhealthy    bool   // takes no new grants; what runs there is left alone
}

// Node is a machine with its devices. Devices of a node that is managed by a
// vendor's device plugin are Counted: the plugin picks the device, so only
// whole ones are granted there and their names carry no meaning.
type Node struct {
	Name          string
	Pool          string // node pool; "" is the default pool
	Devices       []Device
	Counted       bool
	Capacity      Resources // what pods may take in all (Kubernetes: allocatable)
	Unschedulable bool      // takes no new grants; what runs there is left alone
	// HostMiB is host memory that is set aside for the state of suspended pods.
	HostMiB  int64
	FitClass string // nodes of one class answer every Fitness question alike; "" is a class of its own
}

// Pool is a named set of nodes with its own quotas and placement preference.
type Pool struct {
	Name string
	// GPUPlacement and CPUPlacement name the rule by which pods with and
	// without devices are placed: "pack" (the default), "spread" or "fgd".
	GPUPlacement string
	CPUPlacement string
	// SurplusRuntime is how long (ms) started work is left alone by who would
	// borrow in its place, of the same band. Who is within quota, and a higher
	// band, do not wait for it.
	SurplusRuntime int64
	// Surplus names how what nobody is guaranteed is divided among owners of
	// one priority: "share" (the default), by how much each has of it, or
	// "service", by how little each workload was served so far. The latter
	// suspends work to divide it anew, and never evicts any.
	Surplus string
}

// The ways to divide surplus.
const (
	ByShare   = "share"
	ByService = "service"
)

// Owner is a node of the owner tree: a department, a project, or any level
// between or above. Workloads belong to leaves.
type Owner struct {
	Name   string
	Parent string // "" for a child of the cluster itself
	Pools  map[string]OwnerPool
	// PoolOrder is the order in which pools are tried for workloads that do
	// not name their own; empty means the names of Pools in order, or the
	// default pool when there are none.
	PoolOrder []string
	// Discipline names the order among workloads of equal priority: "fifo" (the
	// default), "shortest", by what they are expected to need yet, or
	// "service", by how little they were served so far. The latter two go by
	// [Config.Levels], and by age within a level; "service" also suspends work
	// of a higher level for work of a lower one.
	Discipline string
}

// The orders among an owner's workloads.
const (
	FIFO     = "fifo"
	Shortest = "shortest"
	Service  = "service"
)

// OwnerPool is what an owner is guaranteed and allowed in one pool.
type OwnerPool struct {
	Quota    Amount // guaranteed; Unbounded entries never count as borrowed
	Limit    Amount // cap, borrowed included; Unbounded entries have none
	Weight   int64  // share of the surplus among siblings of equal Priority; 0 borrows last
	Priority int32  // higher bands take surplus before lower ones
}

// Kind says what a workload is for. It sets defaults outside the engine and
// is carried for people; decisions depend on Priority and Preemptible alone.
type Kind string

// The kinds of workloads.
const (
	Build Kind = "build" // interactive
	Train Kind = "train"
	Infer Kind = "infer"
)

// Workload is a gang: pods that start together. Its pods come by [PodSet].
type Workload struct {
	ID          string   // "namespace/name", unique in the cluster
	Owner       string   // name of a leaf owner
	Pools       []string // pools it may use, in order of preference; empty: its owner's
	Kind        Kind
	Priority    int32
	Preemptible bool
	Min         int  // pods that have to run for any to run; at least 1
	Submitted   Time // place in the queue among equals
	Suspended   bool // takes no new grants until cleared

	// MinRuntime is how long (ms) a started workload is left alone by
	// preemption, reclaim and moves.
	MinRuntime int64
	// Swappable work is suspended rather than evicted, where all its nodes have
	// host memory left for what it holds of their devices. Whoever carries out
	// decisions must be able to bring its state to another node.
	Swappable bool
	// Served is the GPU time (ms) that it was given in runs that ended, as told
	// by [Decision.Served].
	Served int64
	// Expected is the GPU time (ms) that it is expected to need in all; 0 when
	// nobody knows.
	Expected int64
	// Moves is how often the workload may still be moved to make room.
	Moves int
}

// Pod is one member of a workload.
type Pod struct {
	ID  string // "namespace/name", unique in the cluster
	Ask Ask
}

// Ask is what one pod asks for. Pods with equal asks are interchangeable.
type Ask struct {
	Devices int      // how many devices; 0 for none
	Part    Part     // of each device; the zero Part is the whole device
	Models  []string // allowed models; empty allows all
	Resources
	// Fit names the pod's demands on a node as [Fitness] understands them;
	// "" fits every node.
	Fit string
}

// Part is a share of one device. At least one of Fraction and MemoryMiB is
// set: a fraction takes that part of memory and of compute; MemoryMiB alone
// takes exactly that memory and the same part of compute; with both, memory
// is exact and the fraction is of compute. ComputeMilli, if set, overrides the
// compute. The Limit fields (0: same as the request) bound bursts.
type Part struct {
	Fraction     int64 // micro: GPU (1_000_000) is a whole device
	MemoryMiB    int64
	ComputeMilli int64

	LimitFraction     int64
	LimitMemoryMiB    int64
	LimitComputeMilli int64
}

// IsWhole reports whether p stands for whole devices.
func (p Part) IsWhole() bool { return p == Part{} }

// Share is a part of one device that a pod holds: guaranteed amounts and the
// limits up to which it may burst. A whole device is all of both.
type Share struct {
	Device            string
	MemoryMiB         int64
	ComputeMilli      int64
	LimitMemoryMiB    int64
	LimitComputeMilli int64
}

// Grant is the exact place given to one pod.
type Grant struct {
	Node    string
	Devices []Share
}
