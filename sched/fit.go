package sched

import "slices"

// slots returns how many pods of s can be placed on n in view v, looking at
// devices and resources; room for more than most counts as most.
func (e *Engine) slots(s *shape, n *node, v view, most int64) int64 {
	if !n.open() {
		return 0
	}
	fit := most
	for i, amount := range s.need {
		if amount > 0 {
			if fit = min(fit, n.left(i, v)/amount); fit <= 0 {
				return 0
			}
		}
	}
	if k := int64(s.ask.Devices); k > 0 {
		fit = e.deviceSlots(s, n, v, k, fit)
	}
	return fit
}

// deviceSlots returns how many pods of s, with k devices each, n's devices can
// hold, at most most. With a[d] parts fitting device d, t pods fit exactly when
// the sum of min(a[d], t) is at least k*t.
func (e *Engine) deviceSlots(s *shape, n *node, v view, k, most int64) int64 {
	if n.Counted {
		return min(most, e.countable(s, n, v)/k)
	}
	if s.whole {
		free := int64(0)
		if v == now && n.uniform && len(n.devices) > 0 {
			if e.cut(s, n.devices[0].class).ok {
				free = n.room().empty
			}
		} else {
			for i := range n.devices {
				d := &n.devices[i]
				if _, _, empty := d.free(v); empty && e.cut(s, d.class).ok {
					free++
				}
			}
		}
		return min(most, free/k)
	}
	var room [64]int64
	parts := room[:0]
	total := int64(0)
	for i := range n.devices {
		if a := e.partsOn(s, &n.devices[i], v); a > 0 {
			parts = append(parts, a)
			total += a
		}
	}
	if k == 1 {
		return min(most, total)
	}
	t := min(most, total/k)
	for ; t > 0; t-- {
		sum := int64(0)
		for _, a := range parts {
			sum += min(a, t)
		}
		if sum >= k*t {
			break
		}
	}
	return t
}

// uncounted is how many devices of a counted node its plugin can still hand
// out: the healthy ones less the held ones, by number. Which of them a pod
// holds only the plugin knows, so that whether a sick one is among them, or
// what was laid on which before a restart, makes no difference.
func (n *node) uncounted(v view) int64 {
	held := int64(0)
	switch v {
	case empty:
	case now:
		held = max(n.held[later], n.held[actual])
	default:
		held = n.held[v]
	}
	return max(n.healthy-held, 0)
}

// countable is how many devices of a counted node s can have: whole ones only,
// since a device plugin hands out no parts.
func (e *Engine) countable(s *shape, n *node, v view) int64 {
	if !s.whole {
		return 0
	}
	suited := int64(0)
	for i := range n.devices {
		if d := &n.devices[i]; !d.sick && e.cut(s, d.class).ok {
			suited++
		}
	}
	return min(suited, n.uncounted(v))
}

// partsOn returns how many parts of s fit on d in v.
func (e *Engine) partsOn(s *shape, d *device, v view) int64 {
	c := e.cut(s, d.class)
	if !c.ok {
		return 0
	}
	mem, comp, _ := d.free(v)
	if mem < c.mem || comp < c.comp {
		return 0
	}
	if c.mem == 0 { // a device that reports no memory is shared by compute alone
		return comp / c.comp
	}
	return min(mem/c.mem, comp/c.comp)
}

// fits reports whether n suits the pods of s for reasons beside resources.
func (e *Engine) fits(s *shape, n *node, others []Placement) bool {
	return e.unfit(s, n, others) == ""
}

// unfit says why n does not suit the pods of s, or "". Answers of classes that
// do not depend on other pods are remembered by class of node.
func (e *Engine) unfit(s *shape, n *node, others []Placement) string {
	f := e.cfg.Fitness
	if s.ask.Fit == "" || f == nil {
		return ""
	}
	if s.moving {
		return f.Fits(s.ask.Fit, n.Name, append(e.ahead(), others...))
	}
	class := n.FitClass
	if class == "" {
		class = "\x00" + n.Name
	}
	key := fitKey{s.ask.Fit, class}
	why, ok := e.fitMemo[key]
	if !ok {
		why = f.Fits(s.ask.Fit, n.Name, nil)
		e.fitMemo[key] = why
	}
	return why
}

// ahead lists the places that differ from what the cluster shows: decided in
// this Decide, or promised. A pod that stops is at the node "".
func (e *Engine) ahead() []Placement {
	var out []Placement
	for _, d := range e.out {
		switch d.Action {
		case Start:
			out = append(out, Placement{Pod: d.Pod, Node: d.Grant.Node})
		case Evict, Move:
			out = append(out, Placement{Pod: d.Pod})
		}
	}
	for _, b := range e.bookings {
		out = append(out, placements(b.holdings)...)
	}
	return out
}

type fitKey struct{ fit, class string }

// choose picks the devices for one pod of s on n in view v by the rule of the
// pool, and returns the parts; nil when they are not there.
func (e *Engine) choose(s *shape, n *node, v view) []part {
	k := s.ask.Devices
	var parts []part
	if n.Counted {
		return e.chooseNames(s, n, v)
	}
	if s.whole {
		parts = make([]part, 0, k)
		for i := range n.devices {
			d := &n.devices[i]
			if len(parts) == k {
				break
			}
			if _, _, empty := d.free(v); !empty {
				continue
			}
			if c := e.cut(s, d.class); c.ok {
				parts = append(parts, newPart(int32(i), d, c))
			}
		}
	} else {
		rule := e.rule(n.pool, s)
		parts = e.choosePartial(s, n, v, rule)
		if k > 1 && !e.leavesRoom(s, n, v, parts) {
			parts = e.choosePartial(s, n, v, mostParts{rule})
		}
	}
	if len(parts) < k {
		return nil
	}
	return parts
}

// chooseNames picks devices of a counted node to stand for those that its
// plugin will hand out: such as nobody else's stand for, if there are any.
func (e *Engine) chooseNames(s *shape, n *node, v view) []part {
	k := s.ask.Devices
	if e.countable(s, n, v) < int64(k) {
		return nil
	}
	parts := make([]part, 0, k)
	for _, unused := range []bool{true, false} {
		for i := range n.devices {
			d := &n.devices[i]
			_, _, free := d.free(v)
			if c := e.cut(s, d.class); len(parts) < k && !d.sick && c.ok && free == unused {
				parts = append(parts, newPart(int32(i), d, c))
			}
		}
	}
	return parts
}

// leavesRoom reports whether taking parts leaves room for all other pods of s
// that fit n now. Taking from the devices with the most parts always does.
func (e *Engine) leavesRoom(s *shape, n *node, v view, parts []part) bool {
	rest := e.deviceSlots(s, n, v, int64(s.ask.Devices), manySlots) - 1
	sum := int64(0)
	for i := range n.devices {
		a := e.partsOn(s, &n.devices[i], v)
		if slices.ContainsFunc(parts, func(p part) bool { return p.dev == int32(i) }) {
			a--
		}
		sum += min(a, rest)
	}
	return sum >= int64(s.ask.Devices)*rest
}

// mostParts is a rule that takes parts from the devices with the most.
type mostParts struct{ rule }

func (mostParts) device(e *Engine, s *shape, n *node, dev int, v view) int64 {
	return e.partsOn(s, &n.devices[dev], v)
}

// choosePartial picks devices for one pod of s by a rule.
func (e *Engine) choosePartial(s *shape, n *node, v view, by rule) []part {
	var taken [maxDevices]bool
	parts := make([]part, 0, s.ask.Devices)
	for len(parts) < s.ask.Devices {
		best := e.bestDevice(s, n, v, by, &taken)
		if best < 0 {
			return nil
		}
		taken[best] = true
		d := &n.devices[best]
		parts = append(parts, newPart(int32(best), d, e.cut(s, d.class)))
	}
	return parts
}

// bestDevice is the best of n's devices that are not taken for a part of s; -1
// when there is none.
func (e *Engine) bestDevice(s *shape, n *node, v view, by rule, taken *[maxDevices]bool) int {
	best, bestScore := -1, int64(0)
	for i := range n.devices {
		if taken[i] || e.partsOn(s, &n.devices[i], v) == 0 {
			continue
		}
		if x := by.device(e, s, n, i, v); best < 0 || x > bestScore {
			best, bestScore = i, x
		}
	}
	return best
}

func newPart(i int32, d *device, c *cut) part {
	return part{dev: i, name: d.name, mem: c.mem, comp: c.comp, limMem: c.limMem, limComp: c.limComp}
}

// chargeOf is what a pod of s is charged for parts on n.
func (e *Engine) chargeOf(s *shape, n *node, parts []part) vec {
	v := vec{0, s.ask.CPU, s.ask.Memory}
	if s.whole { // a device is one, also one that its node does not report
		v[0] = int64(len(parts)) * GPU
		return v
	}
	for _, p := range parts {
		if p.dev >= 0 {
			v[0] += e.cut(s, n.devices[p.dev].class).charge
		}
	}
	return v
}
