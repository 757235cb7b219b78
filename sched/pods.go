package sched

import (
	"fmt"
	"slices"
)

func (e *Engine) setPod(ev PodSet) error {
	if ev.Pod.ID == "" || ev.Workload == "" {
		return fmt.Errorf("pod %q of workload %q: both need an ID", ev.Pod.ID, ev.Workload)
	}
	if err := ev.Pod.Ask.Check(); err != nil {
		return fmt.Errorf("pod %q: %w", ev.Pod.ID, err)
	}
	s := e.intern(ev.Pod.Ask, 0)
	p := e.pods[ev.Pod.ID]
	if p != nil {
		if p.w.ID != ev.Workload {
			return fmt.Errorf("pod %q: belongs to workload %q, not %q", ev.Pod.ID, p.w.ID, ev.Workload)
		}
		if p.shape != s && p.state == waiting {
			e.reshape(p, s)
		}
		return nil
	}
	w := e.workload(ev.Workload)
	p = &pod{id: ev.Pod.ID, w: w, shape: s}
	e.count(s, 1)
	e.pods[p.id] = p
	e.arrived++
	at, _ := slices.BinarySearchFunc(w.pods, p, podCmp)
	w.pods = slices.Insert(w.pods, at, p)
	if !e.sit(p) {
		w.addWaiting(p)
	}
	e.requeue(w)
	return nil
}

func (e *Engine) reshape(p *pod, s *shape) {
	e.count(p.shape, -1)
	e.count(s, 1)
	p.shape = s
	e.requeue(p.w)
}

// Check reports what is wrong with an ask in itself.
func (a Ask) Check() error {
	p := a.Part
	switch {
	case a.Devices < 0 || a.Devices > maxDevices:
		return fmt.Errorf("%d devices: ask for 0 to %d", a.Devices, maxDevices)
	case a.CPU < 0 || a.Memory < 0 || a.Pods < 0:
		return fmt.Errorf("resources %+v: none may be negative", a.Resources)
	case a.Devices == 0 && !p.IsWhole():
		return fmt.Errorf("a part of 0 devices: ask for at least 1 device")
	case p.IsWhole():
		return nil
	case p.Fraction < 0 || p.Fraction > GPU || p.LimitFraction < 0 || p.LimitFraction > GPU:
		return fmt.Errorf("fraction %d (limit %d) micro: use 1 to %d", p.Fraction, p.LimitFraction, GPU)
	case p.MemoryMiB < 0 || p.ComputeMilli < 0 || p.LimitMemoryMiB < 0 || p.LimitComputeMilli < 0:
		return fmt.Errorf("part %+v: nothing may be negative", p)
	case p.Fraction == 0 && p.MemoryMiB == 0:
		return fmt.Errorf("part %+v: give a fraction, a memory size or both", p)
	}
	return nil
}

func (e *Engine) dropPod(id string) {
	p := e.pods[id]
	if p == nil {
		return
	}
	w := p.w
	switch p.state {
	case waiting:
		w.dropWaiting(p)
	case promised:
		e.unbook(w.booking)
		w.dropWaiting(p)
	case granted, leaving:
		e.release(p)
	case lost:
		e.clearLost(p)
	}
	e.bring(p)
	e.count(p.shape, -1)
	w.pods = slices.DeleteFunc(w.pods, func(x *pod) bool { return x == p })
	delete(e.pods, id)
	e.requeue(w)
}

// release frees what a granted or leaving pod holds.
func (e *Engine) release(p *pod) {
	w := p.w
	if p.state == leaving {
		w.leaving--
	} else {
		w.displace(p)
	}
	e.put(p.hold, 0)
	p.hold = nil
	e.dropVictim(w)
	e.relevel(w)
}

func (e *Engine) podGranted(ev PodGranted) error {
	p := e.pods[ev.ID]
	if p == nil {
		return fmt.Errorf("pod %q: granted before it is known", ev.ID)
	}
	if p.hold != nil && (p.state == granted || p.state == leaving) && sameGrant(p.hold, ev.Grant) {
		e.startedAt(p, ev.Since)
		e.bring(p)
		return nil
	}
	switch p.state {
	case waiting:
		p.w.dropWaiting(p)
	case promised:
		e.unbook(p.w.booking)
		p.w.dropWaiting(p)
	case granted, leaving:
		e.release(p)
	case lost:
		e.clearLost(p)
	}
	e.bring(p)
	e.grantTo(p, ev.Grant, ev.Since)
	e.requeue(p.w)
	return nil
}

// grantTo records a grant as a fact. A pod on a node that is not there is lost
// until it is.
func (e *Engine) grantTo(p *pod, g Grant, since Time) {
	p.since, p.grant, p.wasLeaving = since, g, false
	e.doubtStart(p, since, 0)
	n := e.nodeIndex[g.Node]
	if n == nil || n.gone {
		e.setLost(p)
		return
	}
	h := &holding{pod: p, w: p.w, shape: p.shape, need: e.resize(p.shape.need)}
	h.parts = e.partsOf(g.Devices, n, p.shape.ask.Devices)
	h.told = g.Devices
	e.reseat(h, n)
	h.charge = e.chargeOf(p.shape, n, h.parts)
	p.hold, p.state = h, granted
	p.w.place(p)
	e.put(h, p.w.runningIn())
	e.addVictim(h)
	e.relevel(p.w)
}

// partsOf turns told shares into parts. On counted nodes names carry no
// meaning: the first free devices stand for those that the pod holds.
func (e *Engine) partsOf(shares []Share, n *node, count int) []part {
	var parts []part
	if !n.Counted {
		for _, s := range shares {
			parts = append(parts, part{
				name: s.Device, mem: s.MemoryMiB, comp: s.ComputeMilli,
				limMem: s.LimitMemoryMiB, limComp: s.LimitComputeMilli,
			})
		}
		return parts
	}
	for _, sick := range []bool{false, true} { // the plugin hands out healthy ones first
		for i := range n.devices {
			d := &n.devices[i]
			if len(parts) < count && d.sick == sick && d.used[actual].n == 0 && d.used[later].n == 0 {
				parts = append(parts, part{name: d.name})
			}
		}
	}
	for len(parts) < count { // more than the node has: told, so recorded
		parts = append(parts, part{})
	}
	return parts
}

func sameGrant(h *holding, g Grant) bool {
	if h.node.Name != g.Node {
		return false
	}
	if h.node.Counted {
		return true
	}
	return slices.EqualFunc(h.parts, g.Devices, func(p part, s Share) bool {
		return p.name == s.Device && p.mem == s.MemoryMiB && p.comp == s.ComputeMilli
	})
}

func grantOf(h *holding) Grant {
	g := Grant{Node: h.node.Name}
	for _, p := range h.parts {
		g.Devices = append(g.Devices, Share{
			Device: p.name, MemoryMiB: p.mem, ComputeMilli: p.comp,
			LimitMemoryMiB: p.limMem, LimitComputeMilli: p.limComp,
		})
	}
	return g
}

// podLeaving keeps what p holds, but takes it from its owner's account.
func (e *Engine) podLeaving(id string) {
	p := e.pods[id]
	if p == nil {
		return
	}
	w := p.w
	switch p.state {
	case promised:
		e.unbook(w.booking)
		fallthrough
	case waiting:
		w.dropWaiting(p)
		p.grant = Grant{}
		e.setLost(p) // asks for nothing any more
	case granted:
		e.stop(p)
	case lost:
		p.wasLeaving = true
	}
	e.requeue(w)
}

// stop makes a granted pod one that is leaving.
func (e *Engine) stop(p *pod) {
	p.state = leaving
	p.w.displace(p)
	p.w.leaving++
	e.put(p.hold, inActual)
	e.dropVictim(p.w)
	e.relevel(p.w)
}

func (e *Engine) evictFailed(id string) {
	p := e.pods[id]
	if p == nil || p.state != leaving {
		return
	}
	p.state = granted
	p.w.leaving--
	p.w.place(p)
	e.put(p.hold, p.w.runningIn())
	e.addVictim(p.hold)
	e.bring(p)
	e.relevel(p.w)
	e.requeue(p.w)
}

func (e *Engine) grantFailed(id string) {
	p := e.pods[id]
	if p == nil || p.state != granted {
		return
	}
	e.release(p)
	p.w.addWaiting(p)
	e.requeue(p.w)
}

func (e *Engine) occupied(ev Occupied) error {
	if ev.ID == "" || ev.Devices < 0 {
		return fmt.Errorf("occupation %q of %d devices: needs an ID and at least 0 devices", ev.ID, ev.Devices)
	}
	e.vacated(ev.ID)
	n := e.nodeIndex[ev.Node]
	if n == nil || n.gone {
		e.away[ev.ID] = ev
		return nil
	}
	need := e.needs(ev.Resources)
	h := &holding{fact: ev, need: need, parts: e.partsOf(ev.Shares, n, ev.Devices)}
	h.told = append(slices.Clone(ev.Shares), make([]Share, max(ev.Devices-len(ev.Shares), 0))...)
	e.reseat(h, n)
	e.foreign[ev.ID] = h
	if ev.Leaving {
		e.put(h, inActual)
	} else {
		e.put(h, inLater|inActual|inFixed)
	}
	return nil
}

func (e *Engine) vacated(id string) {
	delete(e.away, id)
	if h := e.foreign[id]; h != nil {
		delete(e.foreign, id)
		e.put(h, 0)
	}
}
