package laws

import (
	"fmt"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

func neverOverGranted(r Round) error {
	return r.each(func(l *Ledger, d sched.Decision) error {
		if !starts(d) {
			return nil
		}
		if p := l.Pods[d.Pod]; p.Grant.Node != "" {
			return fmt.Errorf("pod %s starts on %s but already holds a grant on %s", d.Pod, d.Grant.Node, p.Grant.Node)
		}
		n, ok := l.Nodes[d.Grant.Node]
		if !ok {
			return fmt.Errorf("pod %s starts on node %q, which does not exist", d.Pod, d.Grant.Node)
		}
		if err := wholeIsAlone(l, d); err != nil {
			return err
		}
		return overdraws(l, d, n)
	})
}

// overdraws checks what a start takes. Foreign pods may overdraw a node all by
// themselves; only what the start makes worse is the engine's doing.
func overdraws(l *Ledger, d sched.Decision, n sched.Node) error {
	noPromise := func(sched.Promise) bool { return false }
	r := l.roomOf(n, everyGrant, noPromise)
	before := r.overdrafts()
	r.take(d.Grant.Devices, l.Pods[d.Pod].Ask.Resources)
	after := r.overdrafts()
	for _, what := range sortedKeys(after) {
		if after[what] > before[what] {
			return fmt.Errorf("pod %s overdraws %s of node %s by %d", d.Pod, what, n.Name, after[what])
		}
	}
	return nil
}

// wholeIsAlone checks that a whole device has one holder.
func wholeIsAlone(l *Ledger, d sched.Decision) error {
	if l.Nodes[d.Grant.Node].Counted {
		return nil
	}
	whole := l.Pods[d.Pod].Ask.Part.IsWhole()
	for _, p := range l.Pods {
		if p.Grant.Node != d.Grant.Node || p.ID == d.Pod || !whole && !p.Ask.Part.IsWhole() {
			continue
		}
		for _, s := range d.Grant.Devices {
			if slices.ContainsFunc(p.Grant.Devices, func(o sched.Share) bool { return o.Device == s.Device }) {
				return fmt.Errorf("pod %s gets device %s/%s beside pod %s, and one of them asked for all of it",
					d.Pod, d.Grant.Node, s.Device, p.ID)
			}
		}
	}
	return nil
}

func grantedAsAsked(r Round) error {
	return r.each(func(l *Ledger, d sched.Decision) error {
		if !starts(d) {
			return nil
		}
		p, ok := l.Pods[d.Pod]
		if !ok || p.Workload != d.Workload {
			return fmt.Errorf("pod %s of workload %s starts, but no such pod waits there", d.Pod, d.Workload)
		}
		if len(d.Grant.Devices) != p.Ask.Devices {
			return fmt.Errorf("pod %s asks for %d devices and gets %d", d.Pod, p.Ask.Devices, len(d.Grant.Devices))
		}
		n := l.Nodes[d.Grant.Node]
		seen := map[string]bool{}
		for _, s := range d.Grant.Devices {
			if seen[s.Device] {
				return fmt.Errorf("pod %s gets device %s/%s twice", d.Pod, n.Name, s.Device)
			}
			seen[s.Device] = true
			if err := shareAsAsked(p.Ask, s, n); err != nil {
				return fmt.Errorf("pod %s on %s: %w", d.Pod, n.Name, err)
			}
		}
		return chargedRight(d, Charge(p.Ask, d.Grant, n))
	})
}

func shareAsAsked(ask sched.Ask, s sched.Share, n sched.Node) error {
	dev := device(n, s.Device)
	if dev.Name == "" {
		return fmt.Errorf("device %q does not exist", s.Device)
	}
	if n.Counted && !ask.Part.IsWhole() {
		return fmt.Errorf("a share of a device on a counted node")
	}
	if !modelAllowed(ask, dev.Model) {
		return fmt.Errorf("device %s is a %s, allowed are %v", s.Device, dev.Model, ask.Models)
	}
	memory, compute := Need(ask.Part, dev)
	if ask.Part.MemoryMiB > 0 && s.MemoryMiB != memory {
		return fmt.Errorf("asked for exactly %d MiB of %s and got %d", memory, s.Device, s.MemoryMiB)
	}
	if memory-s.MemoryMiB > 1 || s.MemoryMiB > memory || compute-s.ComputeMilli > 1 || s.ComputeMilli > compute {
		return fmt.Errorf("wants %d MiB and %d compute of %s and got %d and %d",
			memory, compute, s.Device, s.MemoryMiB, s.ComputeMilli)
	}
	if s.LimitMemoryMiB < s.MemoryMiB || s.LimitComputeMilli < s.ComputeMilli {
		return fmt.Errorf("limit of %s is below its request: %+v", s.Device, s)
	}
	return limitAsAsked(ask.Part, s, dev)
}

func limitAsAsked(part sched.Part, s sched.Share, dev sched.Device) error {
	wantMemory, wantCompute := s.MemoryMiB, s.ComputeMilli
	if part.LimitFraction > 0 {
		wantCompute = max(wantCompute, dev.ComputeMilli*part.LimitFraction/sched.GPU)
		if part.LimitMemoryMiB == 0 {
			wantMemory = max(wantMemory, dev.MemoryMiB*part.LimitFraction/sched.GPU)
		}
	}
	wantMemory = max(wantMemory, part.LimitMemoryMiB)
	if s.LimitMemoryMiB+1 < wantMemory || part.LimitComputeMilli > 0 && s.LimitComputeMilli < part.LimitComputeMilli ||
		part.LimitMemoryMiB == 0 && part.LimitComputeMilli == 0 && s.LimitComputeMilli+1 < wantCompute {
		return fmt.Errorf("limits %+v lost in %+v", part, s)
	}
	return nil
}

// chargedRight allows for a rounding of one micro-GPU up or down per device.
func chargedRight(d sched.Decision, want sched.Amount) error {
	slack := 2 * int64(len(d.Grant.Devices))
	diff := d.Charged.GPU - want.GPU
	if diff > slack*1000 || -diff > slack*1000 || d.Charged.CPU != want.CPU || d.Charged.Memory != want.Memory {
		return fmt.Errorf("pod %s is charged %+v for a grant worth %+v", d.Pod, d.Charged, want)
	}
	return nil
}

// seated reports whether a start is that of a moved pod's successor at the
// place that was kept for it: it goes on rather than starts.
func (r Round) seated(d sched.Decision) bool {
	for _, s := range r.Before.seats {
		if s.Workload == d.Workload && sameGrant(s.Grant, d.Grant) {
			return true
		}
	}
	return false
}

func onlyWhereAllowed(r Round) error {
	return r.each(func(l *Ledger, d sched.Decision) error {
		if d.Action == sched.Evict || d.Action == sched.Suspend {
			return nil
		}
		w, n := l.Works[d.Workload], l.Nodes[d.Grant.Node]
		if starts(d) && w.Suspended {
			return fmt.Errorf("pod %s of suspended workload %s starts", d.Pod, w.ID)
		}
		if starts(d) && len(l.Chain(w.Owner)) == 0 && !r.seated(d) {
			return fmt.Errorf("pod %s starts though its owner %q is not known", d.Pod, w.Owner)
		}
		if !slices.Contains(l.PoolsOf(w), n.Pool) {
			return fmt.Errorf("pod %s may use pools %v and is put on %s of pool %q", d.Pod, l.PoolsOf(w), n.Name, n.Pool)
		}
		if !l.allowedOn(l.Pods[d.Pod].Ask, n) {
			return fmt.Errorf("pod %s is put on %s, which is unschedulable or unfit for it", d.Pod, n.Name)
		}
		for _, s := range d.Grant.Devices {
			if !n.Counted && device(n, s.Device).Unhealthy {
				return fmt.Errorf("pod %s is put on the unhealthy device %s/%s", d.Pod, n.Name, s.Device)
			}
		}
		return nil
	})
}
