package laws

import (
	"fmt"

	"github.com/weir-gpu/weir/sched"
)

// Levels are the bounds of service that engines under test are built with: so
// short that histories reach them.
var Levels = []int64{3_000, 20_000, 500_000}

// Aside is the state of a suspended pod in host memory.
type Aside struct {
	Node string
	MiB  int64
}

// keepsState checks that work is suspended whole, with host memory for all of
// its state; that it is suspended rather than evicted where that could be; and
// that state is not thrown away by starting anew.
func keepsState(r Round) error {
	judged := map[string]bool{}
	return r.each(func(l *Ledger, d sched.Decision) error {
		w, p := l.Works[d.Workload], l.Pods[d.Pod]
		switch {
		case d.Action == sched.Resume && p.Aside == nil:
			return fmt.Errorf("pod %s resumes, but has no state", d.Pod)
		case d.Action == sched.Start && p.Aside != nil:
			return fmt.Errorf("pod %s starts anew, though its state is on %s", d.Pod, p.Aside.Node)
		case d.Action == sched.Suspend:
			return r.suspendsWhole(l, d, w)
		case d.Action == sched.Evict && w.Swappable && !judged[w.ID]:
			judged[w.ID] = true
			if run := l.Of(w.ID, Pod.Running); len(r.After.Of(w.ID, Pod.Running)) == 0 && len(run) > 0 && len(run) <= w.Min &&
				!l.hasPromise(w.ID) && l.hasHostFor(run) {
				return fmt.Errorf("pod %s is evicted, though its nodes have host memory for all of %s", d.Pod, w.ID)
			}
		}
		return nil
	})
}

func (r Round) suspendsWhole(l *Ledger, d sched.Decision, w sched.Workload) error {
	p := l.Pods[d.Pod]
	if !w.Swappable {
		return fmt.Errorf("pod %s is suspended, which it cannot be", d.Pod)
	}
	if want := l.state(p); d.HostMiB != want || d.Grant.Node != p.Grant.Node {
		return fmt.Errorf("pod %s is suspended with %d MiB on %s, and has %d MiB on %s",
			d.Pod, d.HostMiB, d.Grant.Node, want, p.Grant.Node)
	}
	n := l.Nodes[p.Grant.Node]
	if used := l.hostUsed(n.Name); used+d.HostMiB > n.HostMiB {
		return fmt.Errorf("pod %s is suspended with %d MiB, but %d of the %d MiB of node %s are taken",
			d.Pod, d.HostMiB, used, n.HostMiB, n.Name)
	}
	for _, other := range r.Decisions {
		elastic := len(r.Before.Of(w.ID, Pod.Running)) > w.Min // some may have been evicted before, by themselves
		if other.Workload == w.ID && other.Action == sched.Evict && !elastic {
			return fmt.Errorf("pod %s is suspended and pod %s of the same workload evicted", d.Pod, other.Pod)
		}
	}
	if left := r.After.Of(w.ID, Pod.Running); len(left) > 0 {
		return fmt.Errorf("pod %s is suspended, but pod %s of the same workload goes on", d.Pod, left[0].ID)
	}
	return nil
}

// yields checks that a victim which is as good as the winner was served so much
// more that it yields, and loses nothing by it.
func (r Round) yields(l *Ledger, d sched.Decision, victim, winner sched.Workload) error {
	if d.Action != sched.Suspend {
		return fmt.Errorf("pod %s is stopped because %s was served less, but not suspended", d.Pod, winner.ID)
	}
	pool := r.Before.PoolOf(r.Before.Pods[d.Pod])
	had, has := r.Before.level(victim, pool), r.Before.level(winner, pool)
	if has+sched.DefaultHysteresis >= had {
		return fmt.Errorf("pod %s of level %d is suspended for %s of level %d", d.Pod, had, winner.ID, has)
	}
	return nil
}

// level is which of the Levels a workload's service reaches.
func (l *Ledger) level(w sched.Workload, pool string) int {
	served := l.Works[w.ID].Served
	for _, p := range l.Of(w.ID, Pod.Running) {
		served += p.Charge.GPU * int64(l.Now-p.Since) / sched.GPU
	}
	weight := int64(1)
	if op, ok := l.Owners[w.Owner].Pools[pool]; ok {
		weight = max(op.Weight, 1)
	}
	for i, bound := range Levels {
		if served < bound*weight {
			return i
		}
	}
	return len(Levels)
}

// state is how much host memory a running pod's state takes.
func (l *Ledger) state(p Pod) (mib int64) {
	n := l.Nodes[p.Grant.Node]
	for _, s := range p.Grant.Devices {
		if n.Counted {
			mib += n.Devices[0].MemoryMiB
		} else {
			mib += s.MemoryMiB
		}
	}
	return mib
}

func (l *Ledger) hostUsed(node string) (mib int64) {
	for _, p := range l.Pods {
		if p.Aside != nil && p.Aside.Node == node {
			mib += p.Aside.MiB
		}
	}
	return mib
}

// hasHostFor reports whether nodes have host memory for all of the pods.
func (l *Ledger) hasHostFor(pods []Pod) bool {
	need := map[string]int64{}
	for _, p := range pods {
		if p.Aside != nil {
			return false
		}
		need[p.Grant.Node] += l.state(p)
	}
	for node, mib := range need {
		if l.hostUsed(node)+mib > l.Nodes[node].HostMiB {
			return false
		}
	}
	return true
}

// settleIn tells that resumed pods run, so that their state is not kept any
// longer.
func (w *World) settleIn() *Breach {
	for _, p := range w.running() {
		if p.Aside != nil {
			if b := w.tell(sched.PodGranted{ID: p.ID, Grant: p.Grant, Since: p.Since}); b != nil {
				return b
			}
		}
	}
	return nil
}
