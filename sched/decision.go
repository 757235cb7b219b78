package sched

// Action is what a decision does.
type Action string

// The actions.
const (
	Start Action = "start" // give Pod the Grant
	Evict Action = "evict" // stop Pod; it waits again
	Move  Action = "move"  // stop Pod and start it, or its successor, at Grant
	// Suspend takes Pod off its devices and keeps its state in host memory of
	// its node; [PodSuspended] says that it is done.
	Suspend Action = "suspend"
	// Resume gives Pod, which is suspended, the Grant; [PodGranted] says that it
	// runs and its state in host memory is not needed any more.
	Resume Action = "resume"
)

// Rule is why a pod was stopped.
type Rule string

// The rules.
const (
	Reclaim     Rule = "reclaim"     // taken back from a borrower
	Preempt     Rule = "preempt"     // for a higher priority of the same owner
	Consolidate Rule = "consolidate" // moved to make room
)

// Decision is one thing to do. The engine takes it as done; should it fail,
// the caller says so by an event ([GrantFailed], [PodGranted]).
type Decision struct {
	Action   Action
	Workload string
	Pod      string
	Grant    Grant  // Start, Move, Resume; Suspend: the node, and no devices
	For      string // Evict, Move, Suspend: the workload that it makes room for
	ForOwner string // Evict, Move, Suspend: that workload's owner
	Rule     Rule   // Evict, Move, Suspend
	// HostMiB is, for Suspend and Resume, the host memory that its state takes.
	HostMiB int64
	// Served is, for Suspend and Evict, the GPU time (ms) that the workload was
	// given so far: what to tell as [Workload.Served] after a restart.
	Served int64
	// Charged is what the pod's owner is charged for the grant.
	Charged Amount
	// Borrowed tells, for Start, that the owner runs above its quota with it.
	Borrowed bool
}

// Promise is a start that waits for pods to leave.
type Promise struct {
	Workload string
	Pod      string
	Grant    Grant
	After    []string // pods that still have to leave, in order
}

// Fitness answers whether a pod may run on a node for reasons other than
// devices and resources (affinity, taints, volumes, spread). Implementations
// must be deterministic and must not call the engine.
type Fitness interface {
	// Fits returns "" when a pod of class fit may run on the node, else why
	// not, in words. others are places that differ from what the cluster shows,
	// because they were decided just now or are promised; a pod that is to stop
	// is at the node "". They matter to moving classes only.
	Fits(fit, node string, others []Placement) string
	// Moving reports whether the class's answers depend on where pods are, so
	// that they must be asked afresh for each placement.
	Moving(fit string) bool
}

// Placement is a pod at a node.
type Placement struct{ Pod, Node string }
