package laws

import (
	"maps"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// Ledger is who asks for what and who holds what, kept from events and
// decisions alone. Its fields are plain; the checks read them.
type Ledger struct {
	Now     sched.Time
	Fitness sched.Fitness
	Nodes   map[string]sched.Node
	Pools   map[string]sched.Pool
	Owners  map[string]sched.Owner
	Works   map[string]sched.Workload
	Pods    map[string]Pod
	Foreign map[string]sched.Occupied
	Mix     sched.Expect // as last told
	// Held is the room that the engine keeps: for pods whose place is being
	// cleared, by pod, as it was last told by Engine.Promises; and the seats of
	// pods that were moved, by the name of the pod that left.
	Held  map[string]sched.Promise
	seats map[string]seat
}

// Pod is one pod as the ledger knows it.
type Pod struct {
	ID       string
	Workload string
	Ask      sched.Ask
	Grant    sched.Grant // Node is "" while it waits
	Charge   sched.Amount
	Since    sched.Time
	Leaving  bool
	Aside    *Aside // its state, while it is suspended or on its way out or in
}

// seat is a place that a pod was moved to, held for its successor.
type seat struct {
	sched.Promise
	ask   sched.Ask
	until sched.Time
	used  bool // by a successor, which has it as a promise from then on
}

// seatFor is how long a seat is held when nobody comes: the engine's default.
const seatFor = 10 * 60 * 1000

// NewLedger returns an empty ledger.
func NewLedger(fitness sched.Fitness) *Ledger {
	return &Ledger{
		Fitness: fitness,
		Nodes:   map[string]sched.Node{},
		Pools:   map[string]sched.Pool{},
		Owners:  map[string]sched.Owner{},
		Works:   map[string]sched.Workload{},
		Pods:    map[string]Pod{},
		Foreign: map[string]sched.Occupied{},
		Held:    map[string]sched.Promise{},

		seats: map[string]seat{},
	}
}

// Clone returns a copy whose maps may be changed on their own.
func (l *Ledger) Clone() *Ledger {
	c := *l
	c.Nodes = maps.Clone(l.Nodes)
	c.Pools = maps.Clone(l.Pools)
	c.Owners = maps.Clone(l.Owners)
	c.Works = maps.Clone(l.Works)
	c.Pods = maps.Clone(l.Pods)
	c.Foreign = maps.Clone(l.Foreign)
	c.Held = maps.Clone(l.Held)
	c.seats = maps.Clone(l.seats)
	return &c
}

// Tell records an event.
func (l *Ledger) Tell(ev sched.Event) {
	switch ev := ev.(type) {
	case sched.NodeSet:
		l.Nodes[ev.Node.Name] = ev.Node
	case sched.NodeGone:
		delete(l.Nodes, ev.Name)
		l.release(func(p Pod) bool { return p.Grant.Node == ev.Name })
		for id, p := range l.Pods {
			if p.Aside != nil && p.Aside.Node == ev.Name {
				p.Aside = nil
				l.Pods[id] = p
			}
		}
	case sched.PoolSet:
		l.Pools[ev.Pool.Name] = ev.Pool
	case sched.PoolGone:
		delete(l.Pools, ev.Name)
	case sched.OwnerSet:
		l.Owners[ev.Owner.Name] = ev.Owner
	case sched.OwnerGone:
		delete(l.Owners, ev.Name)
	case sched.WorkloadSet:
		l.Works[ev.Workload.ID] = ev.Workload
	case sched.WorkloadGone:
		delete(l.Works, ev.ID)
		maps.DeleteFunc(l.Pods, func(_ string, p Pod) bool { return p.Workload == ev.ID })
	case sched.Occupied:
		l.Foreign[ev.ID] = ev
	case sched.Vacated:
		delete(l.Foreign, ev.ID)
	case sched.Expect:
		l.Mix = ev
	default:
		l.tellPod(ev)
	}
}

func (l *Ledger) tellPod(ev sched.Event) {
	switch ev := ev.(type) {
	case sched.PodSet:
		p, known := l.Pods[ev.Pod.ID]
		if !known {
			l.sit(ev)
		}
		p.ID, p.Workload, p.Ask = ev.Pod.ID, ev.Workload, ev.Pod.Ask
		l.Pods[p.ID] = p
	case sched.PodGone:
		delete(l.Pods, ev.ID)
	case sched.PodGranted:
		l.give(ev.ID, ev.Grant, ev.Since)
		if p, ok := l.Pods[ev.ID]; ok {
			p.Aside = nil
			l.Pods[ev.ID] = p
		}
	case sched.PodSuspended:
		l.release(func(p Pod) bool { return p.ID == ev.ID })
		if p, ok := l.Pods[ev.ID]; ok {
			p.Leaving, p.Aside = false, nil
			if _, there := l.Nodes[ev.Node]; there {
				p.Aside = &Aside{ev.Node, ev.HostMiB}
			}
			l.Pods[ev.ID] = p
		}
	case sched.PodLeaving:
		if p, ok := l.Pods[ev.ID]; ok {
			p.Leaving = true
			l.Pods[ev.ID] = p
		}
	case sched.GrantFailed:
		l.release(func(p Pod) bool { return p.ID == ev.ID })
	}
}

// Do records a decision as done.
func (l *Ledger) Do(d sched.Decision) {
	switch d.Action {
	case sched.Start, sched.Resume:
		l.give(d.Pod, d.Grant, l.Now)
		l.unseat(d.Workload, d.Grant)
	case sched.Evict, sched.Move, sched.Suspend:
		if w, ok := l.Works[d.Workload]; ok && d.Action != sched.Move {
			w.Served = d.Served
			l.Works[d.Workload] = w
		}
		if d.Action == sched.Move {
			p := sched.Promise{Workload: d.Workload, Pod: d.Pod, Grant: d.Grant}
			l.seats[d.Pod] = seat{Promise: p, ask: l.Pods[d.Pod].Ask, until: l.Now + seatFor}
		}
		if p, ok := l.Pods[d.Pod]; ok {
			p.Leaving = true
			if d.Action == sched.Suspend {
				p.Aside = &Aside{d.Grant.Node, d.HostMiB}
			}
			l.Pods[d.Pod] = p
		}
	}
}

// sit notes that a successor took a seat of its workload.
func (l *Ledger) sit(ev sched.PodSet) {
	for _, pod := range sortedKeys(l.seats) {
		if s := l.seats[pod]; s.Workload == ev.Workload && !s.used && equalAsks(s.ask, ev.Pod.Ask) {
			s.used = true
			l.seats[pod] = s
			return
		}
	}
}

// unseat forgets a seat of the workload that was taken.
func (l *Ledger) unseat(workload string, taken sched.Grant) {
	for _, pod := range sortedKeys(l.seats) {
		if s := l.seats[pod]; s.Workload == workload && sameGrant(s.Grant, taken) {
			delete(l.seats, pod)
			return
		}
	}
}

// Promised records what the engine says that it keeps room for. Seats are kept
// beside it until their successor comes, and is promised or given the place.
func (l *Ledger) Promised(promises []sched.Promise) {
	l.Held = map[string]sched.Promise{}
	for _, p := range promises {
		l.unseat(p.Workload, p.Grant)
		l.Held[p.Pod] = p
	}
	for pod, s := range l.seats {
		_, known := l.Works[s.Workload]
		n, there := l.Nodes[s.Grant.Node]
		sick := slices.ContainsFunc(s.Grant.Devices, func(d sched.Share) bool { return device(n, d.Device).Unhealthy })
		if s.used || !known || !there || n.Unschedulable || sick || s.until <= l.Now {
			delete(l.seats, pod)
			continue
		}
		l.Held[pod] = s.Promise
	}
}

func sameGrant(a, b sched.Grant) bool { return a.Node == b.Node && slices.Equal(a.Devices, b.Devices) }

func (l *Ledger) give(pod string, g sched.Grant, since sched.Time) {
	p, ok := l.Pods[pod]
	if !ok {
		return
	}
	if since > l.Now { // nothing starts in the future, whatever is said
		if since = l.Now; p.Running() {
			since = p.Since
		}
	}
	p.Grant, p.Since = g, since
	p.Charge = Charge(p.Ask, g, l.Nodes[g.Node])
	l.Pods[pod] = p
}

func (l *Ledger) release(match func(Pod) bool) {
	for id, p := range l.Pods {
		if match(p) {
			p.Grant, p.Charge, p.Since = sched.Grant{}, sched.Amount{}, 0
			l.Pods[id] = p
		}
	}
}

// Running reports whether p holds a grant and is not on its way out.
func (p Pod) Running() bool { return p.Grant.Node != "" && !p.Leaving }

// Waiting reports whether p is to be given a place.
func (p Pod) Waiting() bool { return p.Grant.Node == "" && !p.Leaving }

// Of returns the pods of a workload that match, in order of ID.
func (l *Ledger) Of(workload string, match func(Pod) bool) []Pod {
	var out []Pod
	for _, p := range l.Pods {
		if p.Workload == workload && match(p) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Pod) int { return compareIDs(a.ID, b.ID) })
	return out
}

// compareIDs orders a-2 before a-10.
func compareIDs(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// WaitingWorks returns the IDs of the workloads with pods that wait, in order.
func (l *Ledger) WaitingWorks() []string {
	seen := map[string]bool{}
	for _, p := range l.Pods {
		if p.Waiting() {
			seen[p.Workload] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Started returns when the workload's longest running pod began.
func (l *Ledger) Started(workload string) sched.Time {
	var first sched.Time
	for _, p := range l.Pods {
		if p.Workload == workload && p.Grant.Node != "" && (first == 0 || p.Since < first) {
			first = p.Since
		}
	}
	return first
}

// lastStarted returns when the workload's newest running pod began: one that was
// started again has a minimum run time of its own.
func (l *Ledger) lastStarted(workload string) sched.Time {
	var last sched.Time
	for _, p := range l.Of(workload, Pod.Running) {
		last = max(last, p.Since)
	}
	return last
}

// PoolsOf returns the pools that a workload may use, in order.
func (l *Ledger) PoolsOf(w sched.Workload) []string {
	if len(w.Pools) > 0 {
		return w.Pools
	}
	o := l.Owners[w.Owner]
	if len(o.PoolOrder) > 0 {
		return o.PoolOrder
	}
	if len(o.Pools) > 0 {
		return slices.Sorted(maps.Keys(o.Pools))
	}
	return []string{sched.DefaultPool}
}

// PoolOf returns the pool of a granted pod's node.
func (l *Ledger) PoolOf(p Pod) string { return l.Nodes[p.Grant.Node].Pool }
