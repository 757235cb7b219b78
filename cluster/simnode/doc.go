// Package simnode simulates GPU nodes: it registers Node objects with their
// devices and plays the part of their kubelets. A pod that is bound to a
// simulated node is Running at once, ends when its annotations say so, and
// goes away when it is deleted. Nothing is executed.
//
// Which nodes are simulated is told by the label [Label] of the Node object
// alone, so the nodes of an earlier run go on living after a restart, and
// real nodes may stand beside them.
//
// Package simnode does not choose nodes for pods and does not check whether
// what was bound to a node fits there.
package simnode

// Label marks a Node object as simulated.
const Label = "weir.dev/simulated"

// Annotations of a pod that tell its simulated containers what to do. They
// hold for the pod as a whole, whatever its restart policy.
const (
	// DurationAnnotation is how long the pod runs, like "30s"; without it
	// the pod runs until it is deleted.
	DurationAnnotation = "weir.dev/sim-duration"
	// ExitAnnotation is the exit code after that time; 0 when it is absent.
	ExitAnnotation = "weir.dev/sim-exit"
	// StopAnnotation is how long the pod takes to stop once it is deleted,
	// cut off by its grace period; without it the pod stops at once.
	StopAnnotation = "weir.dev/sim-stop"
)
