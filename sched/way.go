package sched

import "cmp"

// way is a way to make room for a pod on a node: the pods that would have to
// leave it.
type way struct {
	node     *node
	held     []*holding
	priority int32
	lost     int64 // of their work
	gpu, cpu int64 // what they hold
}

func (e *Engine) wayOf(n *node, held ...*holding) way {
	w := way{node: n, held: held, priority: held[0].w.Priority}
	for _, h := range held {
		w.priority = max(w.priority, h.w.Priority)
		w.lost += e.lostBy(h)
		w.gpu += h.charge[0]
		w.cpu += h.need[resCPU]
	}
	return w
}

// lostBy is the work that is thrown away when h's pod stops, in milli-GPU-seconds.
func (e *Engine) lostBy(h *holding) int64 {
	return max(h.charge[0], 1000) / 1000 * (int64(e.now-h.pod.since) / 1000)
}

// wayCmp puts the cheapest way first: of few pods, of low priority, with little
// work to lose, small ones.
func wayCmp(a, b way) int {
	return cmp.Or(
		cmp.Compare(len(a.held), len(b.held)),
		cmp.Compare(a.priority, b.priority),
		cmp.Compare(magnitude(a.lost), magnitude(b.lost)),
		cmp.Compare(a.gpu, b.gpu),
		cmp.Compare(a.cpu, b.cpu),
		cmp.Compare(a.lost, b.lost),
		cmp.Compare(a.node.rank, b.node.rank),
		podCmp(a.held[0].pod, b.held[0].pod),
	)
}

// fitsWithout reports whether a pod of s will fit on n, by devices and
// resources, if those pods leave it. It tries nothing, so it costs little.
func (e *Engine) fitsWithout(s *shape, n *node, gone ...*holding) bool {
	for i, amount := range s.need {
		left := n.left(i, later)
		for _, h := range gone {
			if i < len(h.need) {
				left += h.need[i]
			}
		}
		if amount > 0 && left < amount {
			return false
		}
	}
	if s.ask.Devices == 0 {
		return true
	}
	if n.Counted {
		return e.countableWithout(s, n, gone) >= int64(s.ask.Devices)
	}
	fit := 0
	for i := range n.devices {
		d := &n.devices[i]
		left := d.used[later]
		for _, h := range gone {
			for _, p := range h.parts {
				if int(p.dev) == i {
					left = use{left.mem - p.mem, left.comp - p.comp, left.n - 1}
				}
			}
		}
		c := e.cut(s, d.class)
		free := left.n == 0 || !s.whole && left.mem+c.mem <= d.mem && left.comp+c.comp <= d.comp
		fit += b2i(free && c.ok && !d.sick)
	}
	return fit >= s.ask.Devices
}

// countableWithout is countable, in view later, if those pods leave.
func (e *Engine) countableWithout(s *shape, n *node, gone []*holding) int64 {
	if !s.whole {
		return 0
	}
	suited, left := int64(0), n.healthy-n.held[later]
	for i := range n.devices {
		d := &n.devices[i]
		suited += int64(b2i(!d.sick && e.cut(s, d.class).ok))
	}
	for _, h := range gone {
		left += int64(len(h.parts))
	}
	return min(suited, left)
}

// lack is how much a node with that outline lacks for a pod of s, in thousandths
// of what that asks for, summed over CPU, memory and devices.
func (e *Engine) lack(s *shape, o *outline) int64 {
	of := func(need, have int64) int64 { return 1000 * max(need-have, 0) / max(need, 1) }
	sum := of(s.need[resCPU], o.cpu) + of(s.need[resMemory], o.memory)
	k := int64(s.ask.Devices)
	switch {
	case k == 0 || o.class < 0:
		return sum
	case s.whole && o.empty == 0:
		return sum + of(k*e.classes[o.class].comp, o.comp)
	case s.whole:
		return sum + of(k, int64(o.empty))
	}
	return sum + of(e.cut(s, o.class).comp, o.comp)
}

// couldReplace reports whether a pod of s may fit on a node with that outline
// where one of t leaves. What is leaving already counts as being there.
func (e *Engine) couldReplace(s, t *shape, o *outline) bool {
	if o.cpu+t.need[resCPU] < s.need[resCPU] || o.memory+t.need[resMemory] < s.need[resMemory] {
		return false
	}
	k, more := s.ask.Devices, t.ask.Devices
	if k == 0 || o.class < 0 {
		return true
	}
	if s.whole && int(o.empty)+more < k {
		return false
	}
	free, full := o.comp, e.classes[o.class].comp
	if o.empty > 0 || more > 0 && t.whole {
		free = full
	} else if more > 0 {
		free = min(free+e.cut(t, o.class).comp, full)
	}
	if s.whole {
		return free == full
	}
	return free >= e.cut(s, o.class).comp
}
