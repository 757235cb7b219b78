package sched

import "fmt"

// aside is the state of a suspended pod, in host memory of a node.
type aside struct {
	node *node
	mib  int64
}

// setAside claims host memory for p's state.
func (e *Engine) setAside(p *pod, n *node, mib int64) {
	e.bring(p)
	p.aside = &aside{node: n, mib: mib}
	n.host += mib
}

// bring gives up what is claimed for p's state.
func (e *Engine) bring(p *pod) {
	if p.aside != nil {
		p.aside.node.host -= p.aside.mib
		p.aside = nil
	}
}

// forgetAside is for a node that vanished, and what was kept there with it.
func (e *Engine) forgetAside(n *node) {
	if n.host == 0 {
		return
	}
	for _, p := range e.pods {
		if p.aside != nil && p.aside.node == n {
			e.bring(p)
		}
	}
}

// state is how much host memory h's state takes: all that it holds of devices.
func (h *holding) state() (mib int64) {
	if n := h.node; n.Counted && len(n.devices) > 0 { // which ones is not known
		return int64(len(h.parts)) * n.devices[0].mem
	}
	for _, p := range h.parts {
		mib += p.mem
	}
	return mib
}

// keepable reports whether u can be suspended: as a whole, and with host memory
// for all of it.
func (u *unit) keepable() bool {
	if !u.w.Swappable || len(u.held) != len(u.w.placed) {
		return false
	}
	if h := u.held[0]; len(u.held) == 1 {
		return h.pod.aside == nil && h.node.host+h.state() <= h.node.HostMiB
	}
	return fitsHost([]*unit{u})
}

// fitsHost reports whether the nodes have host memory left for all units.
func fitsHost(units []*unit) bool {
	need := map[*node]int64{}
	for _, u := range units {
		for _, h := range u.held {
			if h.pod.aside != nil { // it is on its way back
				return false
			}
			need[h.node] += h.state()
		}
	}
	for n, mib := range need {
		if n.host+mib > n.HostMiB {
			return false
		}
	}
	return true
}

// stoppable decides which units are suspended and which evicted. It reports
// false when one cannot be suspended that must not be evicted.
func stoppable(units []unit) bool {
	var kept []*unit
	for i := range units {
		u := &units[i]
		if !u.kept {
			continue
		}
		if kept = append(kept, u); !fitsHost(kept) {
			if u.gentle {
				return false
			}
			u.kept, kept = false, kept[:len(kept)-1]
		}
	}
	return true
}

// halt says that h's pod has to stop, for the asker.
func (a *asker) halt(u *unit, h *holding) {
	e := a.e
	d := Decision{
		Action: Evict, Workload: u.w.ID, Pod: h.pod.id, For: a.w.ID, ForOwner: a.w.Owner,
		Rule: u.rule, Charged: h.charge.amount(), Served: u.w.served,
	}
	if u.kept {
		d.Action, d.Grant.Node, d.HostMiB = Suspend, h.node.Name, h.state()
		e.setAside(h.pod, h.node, d.HostMiB)
	}
	e.out = append(e.out, d)
	e.stop(h.pod)
}

// suspended records that a pod's state is in host memory.
func (e *Engine) suspended(ev PodSuspended) error {
	p := e.pods[ev.ID]
	if p == nil {
		return fmt.Errorf("pod %q: suspended before it is known", ev.ID)
	}
	if ev.HostMiB < 0 {
		return fmt.Errorf("pod %q: %d MiB of host memory are less than nothing", ev.ID, ev.HostMiB)
	}
	switch p.state {
	case promised:
		e.unbook(p.w.booking)
	case granted, leaving:
		e.release(p)
	case lost:
		e.clearLost(p)
	}
	p.w.addWaiting(p)
	if n := e.nodeIndex[ev.Node]; n != nil && !n.gone {
		e.setAside(p, n, ev.HostMiB)
	} else {
		e.bring(p)
	}
	e.requeue(p.w)
	return nil
}

// home returns the node that has p's state, if p can resume there now.
func (e *Engine) home(p *pod, s *shape, in *pool, others []Placement) *node {
	if p.aside == nil || !p.aside.node.open() || p.aside.node.pool != in {
		return nil
	}
	if n := p.aside.node; e.slots(s, n, now, 1) > 0 && e.fits(s, n, others) {
		return n
	}
	return nil
}
