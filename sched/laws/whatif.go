package laws

import (
	"errors"
	"fmt"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// whatIf is a fork of the engine in which things are changed to see what
// would happen.
type whatIf struct {
	ledger *Ledger
	engine *sched.Engine
	err    error
}

func newWhatIf(r Rest) *whatIf {
	return &whatIf{ledger: r.Ledger.Clone(), engine: r.Engine.Fork()}
}

func (f *whatIf) tell(ev sched.Event) {
	if err := f.engine.Apply(ev); err != nil && f.err == nil {
		f.err = fmt.Errorf("applying %T %+v: %w", ev, ev, err)
	}
	f.ledger.Tell(ev)
}

// alone suspends every other waiting workload, so that none takes what is
// about to be granted.
func (f *whatIf) alone(id string) {
	for _, other := range f.ledger.WaitingWorks() {
		if w := f.ledger.Works[other]; other != id {
			w.Suspended = true
			f.tell(sched.WorkloadSet{Workload: w})
		}
	}
}

// starts decides until quiet, letting evicted pods go, and returns an error
// unless the workload then starts. At once means by the first answer, with
// nobody stopped for it.
func (f *whatIf) starts(id string, atOnce bool) error {
	if f.err != nil {
		return f.err
	}
	for range 20 {
		ds := f.engine.Decide(f.ledger.Now)
		for _, d := range ds {
			if starts(d) && d.Workload == id {
				return nil
			}
			f.ledger.Do(d)
			if takes(d) && !atOnce {
				f.tell(sched.PodGone{ID: d.Pod})
			}
		}
		if len(ds) == 0 && !f.engine.More() {
			break
		}
	}
	ex, _ := f.engine.Explain(id)
	return errors.Join(f.err, fmt.Errorf("it does not start: %s: %s", ex.Reason, ex.Message))
}

// plenty is more than any ask in a test.
const plenty = int64(1) << 40

// grant changes the fork so that a reason to wait is gone.
func (f *whatIf) grant(id string, reason sched.Reason) {
	w := f.ledger.Works[id]
	switch reason {
	case sched.ReasonSuspended:
		w.Suspended = false
		f.tell(sched.WorkloadSet{Workload: w})
	case sched.ReasonNoOwner:
		pools := map[string]sched.OwnerPool{}
		for _, pool := range append(f.pools(w), sched.DefaultPool) {
			pools[pool] = sched.OwnerPool{Quota: sched.NoLimit, Limit: sched.NoLimit, Weight: 1}
		}
		f.tell(sched.OwnerSet{Owner: sched.Owner{Name: w.Owner, Pools: pools}})
	case sched.ReasonOverQuota:
		f.bound(w, func(p *sched.OwnerPool) { p.Quota = sched.NoLimit })
	case sched.ReasonOverLimit:
		f.bound(w, func(p *sched.OwnerPool) { p.Limit = sched.NoLimit })
	case sched.ReasonIncomplete:
		f.complete(w)
	default:
		f.grantRoom(w, reason)
	}
}

func (f *whatIf) bound(w sched.Workload, change func(*sched.OwnerPool)) {
	for _, name := range f.ledger.Chain(w.Owner) {
		o := f.ledger.Owners[name]
		pools := map[string]sched.OwnerPool{}
		for _, pool := range append(f.pools(w), sortedKeys(o.Pools)...) {
			op := f.ledger.entry(name, pool)
			change(&op)
			pools[pool] = op
		}
		if len(o.PoolOrder) == 0 {
			o.PoolOrder = sortedKeys(o.Pools) // the new entries change no order
		}
		o.Pools = pools
		f.tell(sched.OwnerSet{Owner: o})
	}
}

func (f *whatIf) complete(w sched.Workload) {
	pods := f.ledger.Of(w.ID, func(p Pod) bool { return !p.Leaving })
	for i := len(pods); i < w.Min && len(pods) > 0; i++ {
		id := fmt.Sprintf("%s-more-%d", w.ID, i)
		f.tell(sched.PodSet{Workload: w.ID, Pod: sched.Pod{ID: id, Ask: pods[0].Ask}})
	}
}

// grantRoom changes nodes so that the named thing, and only that, is there in
// plenty; what a pod demands of a node is taken from the pod instead.
func (f *whatIf) grantRoom(w sched.Workload, reason sched.Reason) {
	switch reason {
	case sched.ReasonFitness:
		for _, p := range f.ledger.Of(w.ID, Pod.Waiting) {
			p.Ask.Fit = ""
			f.tell(sched.PodSet{Workload: w.ID, Pod: sched.Pod{ID: p.ID, Ask: p.Ask}})
		}
	case sched.ReasonNoPool, sched.ReasonNoModel, sched.ReasonTooLarge:
		f.addNodes(w)
	default:
		for _, name := range sortedKeys(f.ledger.Nodes) {
			n := f.ledger.Nodes[name]
			if widen(&n, f.ledger.Of(w.ID, Pod.Waiting), reason) {
				f.tell(sched.NodeSet{Node: n})
			}
		}
	}
}

// pools are those of w, that in which it runs among them even where its owner
// names it no more.
func (f *whatIf) pools(w sched.Workload) []string {
	return union(f.ledger.PoolsOf(w), f.ledger.poolsFor(w))
}

// addNodes adds to each of its pools an empty node for each waiting pod, large
// enough for anything and fit for everybody.
func (f *whatIf) addNodes(w sched.Workload) {
	for i, p := range f.ledger.Of(w.ID, Pod.Waiting) {
		p.Ask.Fit = ""
		f.tell(sched.PodSet{Workload: w.ID, Pod: sched.Pod{ID: p.ID, Ask: p.Ask}})
		for _, pool := range f.pools(w) {
			n := sched.Node{Name: fmt.Sprintf("new-%s-%d", pool, i), Pool: pool}
			n.Capacity = sched.Resources{CPU: plenty, Memory: plenty, Pods: 110, Other: map[string]int64{}}
			for name := range p.Ask.Other {
				n.Capacity.Other[name] = plenty
			}
			n.Devices = moreDevices(n, p.Ask)
			f.tell(sched.NodeSet{Node: n})
		}
	}
}

func union(a, b []string) []string {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

func moreDevices(n sched.Node, ask sched.Ask) []sched.Device {
	model := "new"
	if len(n.Devices) > 0 {
		model = n.Devices[0].Model
	}
	if len(ask.Models) > 0 && !slices.Contains(ask.Models, model) {
		model = ask.Models[0]
	}
	memory := max(1<<20, 2*ask.Part.MemoryMiB)
	if len(n.Devices) > 0 {
		memory = n.Devices[0].MemoryMiB
	}
	var out []sched.Device
	for i := range ask.Devices {
		out = append(out, sched.Device{
			Name: fmt.Sprintf("new-%d", len(n.Devices)+i), Model: model,
			MemoryMiB: memory, ComputeMilli: sched.WholeCompute,
		})
	}
	return out
}

func widen(n *sched.Node, pods []Pod, reason sched.Reason) bool {
	n.Capacity = n.Capacity.Clone()
	switch reason {
	case sched.ReasonNoCPU:
		n.Capacity.CPU += plenty
	case sched.ReasonNoMemory:
		n.Capacity.Memory += plenty
	case sched.ReasonNoResource:
		n.Capacity.Pods += 100
		for _, p := range pods {
			for name := range p.Ask.Other {
				if n.Capacity.Other == nil {
					n.Capacity.Other = map[string]int64{}
				}
				n.Capacity.Other[name] += plenty
			}
		}
	case sched.ReasonNoDevices:
		n.Devices = slices.Clone(n.Devices)
		for _, p := range pods {
			n.Devices = append(n.Devices, moreDevices(*n, p.Ask)...)
		}
	default:
		return false
	}
	return true
}
