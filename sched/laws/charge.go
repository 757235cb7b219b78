package laws

import "github.com/weir-gpu/weir/sched"

// Need is what an ask takes of one device: memory and compute, rounded up, so
// that whatever fits by Need fits by any lawful rounding.
func Need(part sched.Part, d sched.Device) (memory, compute int64) {
	if part.IsWhole() {
		return d.MemoryMiB, d.ComputeMilli
	}
	switch {
	case part.MemoryMiB == 0:
		memory = ceil(d.MemoryMiB*part.Fraction, sched.GPU)
		compute = ceil(d.ComputeMilli*part.Fraction, sched.GPU)
	case part.Fraction == 0:
		memory = part.MemoryMiB
		compute = ceil(part.MemoryMiB*d.ComputeMilli, max(1, d.MemoryMiB))
	default:
		memory = part.MemoryMiB
		compute = ceil(d.ComputeMilli*part.Fraction, sched.GPU)
	}
	if part.ComputeMilli > 0 {
		compute = part.ComputeMilli
	}
	return memory, compute
}

// Charge is what an owner is charged for a grant: whole devices count in full,
// a share counts by the larger of its parts of memory and of compute.
func Charge(ask sched.Ask, g sched.Grant, n sched.Node) sched.Amount {
	a := sched.Amount{CPU: ask.CPU, Memory: ask.Memory}
	for _, s := range g.Devices {
		a.GPU += chargeShare(ask.Part, s, device(n, s.Device))
	}
	return a
}

func chargeShare(part sched.Part, s sched.Share, d sched.Device) int64 {
	if part.IsWhole() {
		return sched.GPU
	}
	if part.MemoryMiB == 0 && part.ComputeMilli == 0 {
		return part.Fraction
	}
	return max(s.MemoryMiB*sched.GPU/max(1, d.MemoryMiB), s.ComputeMilli*sched.GPU/max(1, d.ComputeMilli))
}

// mostCharge is the most that an ask can be charged on any of the nodes.
func mostCharge(ask sched.Ask, nodes map[string]sched.Node) sched.Amount {
	a := sched.Amount{CPU: ask.CPU, Memory: ask.Memory}
	if ask.Part.IsWhole() {
		a.GPU = int64(ask.Devices) * sched.GPU
		return a
	}
	var most int64
	for _, n := range nodes {
		for _, d := range n.Devices {
			m, c := Need(ask.Part, d)
			most = max(most, ceil(m*sched.GPU, max(1, d.MemoryMiB)), ceil(c*sched.GPU, max(1, d.ComputeMilli)))
		}
	}
	a.GPU = int64(ask.Devices) * most
	return a
}

func device(n sched.Node, name string) sched.Device {
	for _, d := range n.Devices {
		if d.Name == name {
			return d
		}
	}
	return sched.Device{}
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }

func add(a, b sched.Amount) sched.Amount {
	return sched.Amount{GPU: a.GPU + b.GPU, CPU: a.CPU + b.CPU, Memory: a.Memory + b.Memory}
}

// exceeds names a resource in which used is above bound, or returns "". Slack
// is the rounding allowed in micro-GPUs.
func exceeds(used, bound sched.Amount, slack int64) string {
	switch {
	case bound.GPU != sched.Unbounded && used.GPU > bound.GPU+slack:
		return "GPU"
	case bound.CPU != sched.Unbounded && used.CPU > bound.CPU:
		return "CPU"
	case bound.Memory != sched.Unbounded && used.Memory > bound.Memory:
		return "memory"
	}
	return ""
}

// Chain returns the owner and its ancestors, leaf first.
func (l *Ledger) Chain(owner string) []string {
	var chain []string
	for name := owner; name != "" && len(chain) < 64; {
		o, ok := l.Owners[name]
		if !ok {
			break
		}
		chain = append(chain, name)
		name = o.Parent
	}
	return chain
}

// under reports whether owner is top or below it.
func (l *Ledger) under(owner, top string) bool {
	for _, name := range l.Chain(owner) {
		if name == top {
			return true
		}
	}
	return false
}

// below returns the part of owner's chain that is not in other's: the levels
// at which the two compete.
func (l *Ledger) below(owner, other string) []string {
	var out []string
	for _, name := range l.Chain(owner) {
		if l.under(other, name) {
			break
		}
		out = append(out, name)
	}
	return out
}

// Used sums what owner, with everybody below it, holds in a pool in pods that match.
func (l *Ledger) Used(owner, pool string, match func(Pod, sched.Workload) bool) sched.Amount {
	var sum sched.Amount
	for _, p := range l.Pods {
		w := l.Works[p.Workload]
		if p.Grant.Node != "" && l.PoolOf(p) == pool && match(p, w) && l.under(w.Owner, owner) {
			sum = add(sum, p.Charge)
		}
	}
	return sum
}

func everyPod(Pod, sched.Workload) bool       { return true }
func staying(p Pod, _ sched.Workload) bool    { return !p.Leaving }
func guaranteed(p Pod, w sched.Workload) bool { return !w.Preemptible }
func (l *Ledger) promised(owner, pool string) (sum sched.Amount) {
	for id, h := range l.Held {
		n := l.Nodes[h.Grant.Node]
		if n.Pool == pool && l.under(l.Works[h.Workload].Owner, owner) {
			sum = add(sum, Charge(l.askOf(id, h), h.Grant, n))
		}
	}
	return sum
}

// askOf returns the ask behind a promise: the pod's own, or that of a sibling
// where the promise waits for a successor that does not exist yet.
func (l *Ledger) askOf(pod string, h sched.Promise) sched.Ask {
	if p, ok := l.Pods[pod]; ok {
		return p.Ask
	}
	for _, p := range l.Of(h.Workload, func(Pod) bool { return true }) {
		if p.Ask.Devices == len(h.Grant.Devices) {
			return p.Ask
		}
	}
	return sched.Ask{Devices: len(h.Grant.Devices)}
}
