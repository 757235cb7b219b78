package laws

import (
	"fmt"

	"github.com/weir-gpu/weir/sched"
)

// History is a small cluster and what happens in it, as plain data: it can be
// drawn at random, shrunk, and played against any engine.
type History struct {
	Nodes  []sched.Node
	Pools  []sched.Pool
	Owners []sched.Owner
	Steps  []Step
}

// Act is the kind of thing that happens in a step.
type Act string

// The acts. Pick chooses among those that a step could be about, counted round
// when it is too large, so that every step of every history means something.
const (
	Arrive   Act = "arrive"   // Work is submitted with Pods pods
	Grow     Act = "grow"     // a workload gets another pod
	EndPod   Act = "end pod"  // a running pod is done
	EndWork  Act = "end work" // a workload is deleted
	FailBind Act = "fail"     // a pod that was just started cannot be bound
	Leave    Act = "leave"    // the longest leaving pod is gone; its successor waits
	LoseNode Act = "lose"     // a node vanishes
	NewNode  Act = "return"   // a vanished node is back
	Cordon   Act = "cordon"   // a node becomes unschedulable, or ceases to be
	Sicken   Act = "sicken"   // a device becomes unhealthy, or ceases to be
	Requota  Act = "requota"  // an owner's quota and limit become those of Owner
	Disown   Act = "disown"   // an owner is deleted, or is back
	Suspend  Act = "suspend"  // a workload is suspended, or resumed
	Occupy   Act = "occupy"   // a foreign pod takes room
	Vacate   Act = "vacate"   // a foreign pod is gone
	Foresee  Act = "foresee"  // the engine is told to expect Pods, in a mix that Pick varies
	Wait     Act = "wait"     // Millis pass
	Settle   Act = "settle"   // everything comes to rest
	Restart  Act = "restart"  // everything comes to rest and the engine is restarted
)

// Step is one thing that happens.
type Step struct {
	Act    Act
	Pick   int
	Millis int64
	Work   sched.Workload  // Arrive; its ID is given by the world
	Pods   []sched.Ask     // Arrive, Foresee
	Bounds sched.OwnerPool // Requota
	Early  bool            // Leave: the successor came before the pod was gone
}

// GoString keeps a drawn history out of test logs: what came of it is in
// [World.Log], in words.
func (h History) GoString() string {
	return fmt.Sprintf("a history of %d nodes, %d owners, %d steps", len(h.Nodes), len(h.Owners), len(h.Steps))
}
