package snapshot

import "github.com/weir-gpu/weir/sched"

// Ledger remembers what a stream of engine events says exists, in the words of
// the events. It holds them against nothing: the engine does that.
type Ledger struct {
	nodes     map[string]sched.Node
	pools     map[string]sched.Pool
	owners    map[string]sched.Owner
	workloads map[string]sched.Workload
	pods      map[string]*pod
	outside   map[string]sched.Occupied
}

// pod is what is known of one pod of a workload.
type pod struct {
	workload string
	ask      sched.Ask
	grant    sched.Grant
	since    sched.Time
	leaving  bool
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{
		nodes:     map[string]sched.Node{},
		pools:     map[string]sched.Pool{},
		owners:    map[string]sched.Owner{},
		workloads: map[string]sched.Workload{},
		pods:      map[string]*pod{},
		outside:   map[string]sched.Occupied{},
	}
}

// Apply takes in one event.
func (l *Ledger) Apply(ev sched.Event) {
	switch ev := ev.(type) {
	case sched.NodeSet:
		l.nodes[ev.Node.Name] = ev.Node
	case sched.NodeGone:
		l.nodeGone(ev.Name)
	case sched.PoolSet:
		l.pools[ev.Pool.Name] = ev.Pool
	case sched.PoolGone:
		delete(l.pools, ev.Name)
	case sched.OwnerSet:
		l.owners[ev.Owner.Name] = ev.Owner
	case sched.OwnerGone:
		delete(l.owners, ev.Name)
	case sched.WorkloadSet:
		l.workloads[ev.Workload.ID] = ev.Workload
	case sched.WorkloadGone:
		l.workloadGone(ev.ID)
	case sched.Occupied:
		l.outside[ev.ID] = ev
	case sched.Vacated:
		delete(l.outside, ev.ID)
	default:
		l.applyPod(ev)
	}
}

func (l *Ledger) applyPod(ev sched.Event) {
	switch ev := ev.(type) {
	case sched.PodSet:
		p := l.pod(ev.Pod.ID)
		p.workload, p.ask = ev.Workload, ev.Pod.Ask
	case sched.PodGone:
		delete(l.pods, ev.ID)
	case sched.PodGranted:
		p := l.pod(ev.ID)
		p.grant, p.since = ev.Grant, ev.Since
	case sched.PodLeaving:
		l.pod(ev.ID).leaving = true
	case sched.GrantFailed:
		l.pod(ev.ID).grant = sched.Grant{}
	}
}

func (l *Ledger) pod(id string) *pod {
	p := l.pods[id]
	if p == nil {
		p = &pod{}
		l.pods[id] = p
	}
	return p
}

func (l *Ledger) nodeGone(name string) {
	delete(l.nodes, name)
	for _, p := range l.pods {
		if p.grant.Node == name {
			p.grant, p.leaving = sched.Grant{}, false
		}
	}
}

func (l *Ledger) workloadGone(id string) {
	delete(l.workloads, id)
	for pid, p := range l.pods {
		if p.workload == id {
			delete(l.pods, pid)
		}
	}
}
