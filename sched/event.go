package sched

// Event is one change that the engine is told of. Events are idempotent:
// saying a thing twice changes nothing.
type Event interface{ event() }

// NodeSet says that a node exists and how it looks now. Grants on it stay.
type NodeSet struct{ Node Node }

// NodeGone says that a node vanished. Its pods hold nothing and ask for
// nothing until they are told of again, or the node comes back.
type NodeGone struct{ Name string }

// PoolSet says that a pool exists and how it is placed in.
type PoolSet struct{ Pool Pool }

// PoolGone says that a pool was deleted.
type PoolGone struct{ Name string }

// OwnerSet says that an owner exists and what it is guaranteed.
type OwnerSet struct{ Owner Owner }

// OwnerGone says that an owner was deleted. Its running workloads go on and
// count as borrowed; its waiting workloads wait for an owner.
type OwnerGone struct{ Name string }

// WorkloadSet says that a workload exists and how it looks now.
type WorkloadSet struct{ Workload Workload }

// WorkloadGone says that a workload and all its pods are gone.
type WorkloadGone struct{ ID string }

// PodSet says that a pod exists and asks for a place.
type PodSet struct {
	Workload string
	Pod      Pod
}

// PodGone says that a pod ended or was deleted; what it held is free.
type PodGone struct{ ID string }

// PodGranted says that a pod holds a grant: how a restarted engine learns what
// runs. It is recorded as it is, even where the engine would not have done it.
type PodGranted struct {
	ID    string
	Grant Grant
	Since Time // when it started to run
}

// PodLeaving says that a pod is being stopped: its grant is held until
// [PodGone], but it is nobody's to evict any more.
type PodLeaving struct{ ID string }

// PodSuspended says that a pod holds no devices any more, and that its state is
// in host memory of a node. It waits to be resumed.
type PodSuspended struct {
	ID      string
	Node    string
	HostMiB int64
}

// GrantFailed says that a started pod could not be bound: it waits again.
type GrantFailed struct{ ID string }

// EvictFailed says that a pod which was to be evicted or moved goes on.
type EvictFailed struct{ ID string }

// Occupied says that something which is not Weir's to schedule takes room on a
// node: resources, and on counted nodes whole devices by number.
type Occupied struct {
	ID        string
	Node      string
	Resources Resources
	Devices   int     // on counted nodes
	Shares    []Share // on nodes with exact devices
	// Leaving says that it is about to go by itself: room that is coming, like
	// that of a pod that is being stopped.
	Leaving bool
}

// Vacated says that what [Occupied] told of is gone.
type Vacated struct{ ID string }

// Expect says what pods to expect, for placement rules that look ahead. It
// replaces what was told before, without pods by nothing; nothing is decided
// from it but where pods go.
type Expect struct{ Pods []Expected }

// Expected is a kind of pod and how common it is beside the others.
type Expected struct {
	Ask    Ask
	Weight int64 // 1 to 65,536
}

func (Expect) event()       {}
func (NodeSet) event()      {}
func (NodeGone) event()     {}
func (PoolSet) event()      {}
func (PoolGone) event()     {}
func (OwnerSet) event()     {}
func (OwnerGone) event()    {}
func (WorkloadSet) event()  {}
func (WorkloadGone) event() {}
func (PodSet) event()       {}
func (PodGone) event()      {}
func (PodGranted) event()   {}
func (PodLeaving) event()   {}
func (PodSuspended) event() {}
func (GrantFailed) event()  {}
func (EvictFailed) event()  {}
func (Occupied) event()     {}
func (Vacated) event()      {}
