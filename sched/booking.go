package sched

import "slices"

// booking is a promise: places for pods of one workload that are not free yet.
type booking struct {
	w        *workload
	holdings []*holding
}

// seat is a place that a pod was moved to, held for its successor.
type seat struct {
	w     *workload
	hold  *holding
	until Time
}

// Promises returns the starts that wait for pods to leave, in order.
func (e *Engine) Promises() []Promise {
	var out []Promise
	for _, b := range e.bookings {
		for _, h := range b.holdings {
			out = append(out, Promise{Workload: b.w.ID, Pod: h.pod.id, Grant: grantOf(h), After: inTheWay(h)})
		}
	}
	return out
}

// inTheWay returns the leaving pods that overlap with a promised place.
func inTheWay(h *holding) []string {
	var out []string
	short := !h.resourcesFree() || h.node.Counted && h.node.uncounted(actual) < int64(len(h.parts))
	for _, o := range h.node.holders {
		if o.pod == nil || o.pod.state != leaving {
			continue
		}
		overlap := short || !h.node.Counted && slices.ContainsFunc(o.parts, func(p part) bool {
			return slices.ContainsFunc(h.parts, func(q part) bool { return q.dev == p.dev })
		})
		if overlap {
			out = append(out, o.pod.id)
		}
	}
	slices.Sort(out)
	return out
}

// book promises the placed holdings to w's pods, beside what they are promised, or starts them if the places
// are free already.
func (e *Engine) book(w *workload, held []*holding) {
	b := w.booking
	if b == nil {
		b = &booking{w: w}
	} else {
		e.bookings = slices.DeleteFunc(e.bookings, func(x *booking) bool { return x == b })
	}
	b.holdings = append(b.holdings, held...)
	for _, h := range held {
		w.dropWaiting(h.pod)
		h.pod.state, h.pod.hold, h.pod.round = promised, h, e.decides
		w.place(h.pod)
		e.put(h, w.promisedIn())
		e.addVictim(h)
	}
	w.booking = b
	if !e.deciding || !e.keep(b) {
		e.bookings = append(e.bookings, b)
		e.vacancies++
		e.requeue(w)
	}
}

// unbook takes a promise back; its pods wait again.
func (e *Engine) unbook(b *booking) {
	if i := slices.Index(e.bookings, b); i >= 0 {
		e.bookings = slices.Delete(e.bookings, i, i+1)
	}
	b.w.booking = nil
	for _, h := range b.holdings {
		e.put(h, 0)
		b.w.displace(h.pod)
		b.w.addWaiting(h.pod)
	}
	e.dropVictim(b.w)
	e.requeue(b.w)
}

// keepPromises starts the workloads whose places have become free, and reports
// whether there were any.
func (e *Engine) keepPromises() bool {
	if e.vacancies == e.vacanciesSeen {
		return false
	}
	e.vacanciesSeen = e.vacancies
	some := false
	for _, b := range slices.Clone(e.bookings) {
		some = b.w.booking == b && e.keep(b) || some
	}
	return some
}

// keep starts b's pods if their places are free. It reports whether b is done
// with.
func (e *Engine) keep(b *booking) bool {
	if !e.occupy(b) {
		return false
	}
	e.round++
	b.w.booking = nil
	e.bookings = slices.DeleteFunc(e.bookings, func(x *booking) bool { return x == b })
	for _, h := range b.holdings {
		e.put(h, b.w.runningIn())
		h.pod.state, h.pod.since, h.pod.round = granted, e.now, e.decides
		e.addVictim(h)
		e.say(h)
	}
	if len(b.holdings) > 1 {
		b.holdings[0].node.pool.hope.prey++ // a promise is taken over whole, its pods one by one
	}
	e.relevel(b.w)
	e.requeue(b.w)
	return true
}

// recall takes back promises that quotas and limits no longer allow, those of
// gangs that lost pods and would start below their minimum, and those whose
// places will not be free even when all that is leaving has left: a fact took
// them. The newest go first.
func (e *Engine) recall() {
	for _, b := range slices.Backward(slices.Clone(e.bookings)) {
		w := b.w
		if w.booking == b && (b.holdings[0].acct().exceeded(!w.Preemptible) || len(w.placed) < w.Min || !b.tenable()) {
			e.unbook(b)
		}
	}
}

// tenable reports whether b's places will be free once all that is leaving has
// left.
func (b *booking) tenable() bool {
	return !slices.ContainsFunc(b.holdings, func(h *holding) bool {
		if h.tenable == h.node.version {
			return false
		}
		if h.overdrawn() {
			return true
		}
		h.tenable = h.node.version
		return false
	})
}

// overdrawn reports whether more will be held than there is where h is.
func (h *holding) overdrawn() bool {
	n := h.node
	for _, p := range h.parts {
		d := &n.devices[p.dev]
		u := &d.used[later]
		if h.shape.whole && u.n > 1 || u.mem > d.mem || u.comp > d.comp {
			return true
		}
	}
	for i, amount := range h.need {
		if amount > 0 && n.left(i, later) < 0 {
			return true
		}
	}
	return n.Counted && len(h.parts) > 0 && n.overcounted()
}

// overcounted reports whether more devices of a counted node will be held than
// its plugin has healthy ones.
func (n *node) overcounted() bool {
	left := 0
	for i := range n.devices {
		left += b2i(!n.devices[i].sick)
	}
	for _, h := range n.holders {
		if h.in&inLater != 0 {
			left -= len(h.parts)
		}
	}
	return left < 0
}

// occupy lets b's places count as actually held when all are free, whole or
// not at all.
func (e *Engine) occupy(b *booking) bool {
	e.begin()
	for _, h := range b.holdings {
		if !h.clear() {
			e.rollback()
			return false
		}
		e.put(h, h.in|inActual)
	}
	e.commit()
	return true
}

// clear reports whether h's place is free at this moment.
func (h *holding) clear() bool {
	if h.node.Counted {
		return h.node.uncounted(actual) >= int64(len(h.parts)) && h.resourcesFree()
	}
	for _, p := range h.parts {
		d := &h.node.devices[p.dev]
		u := &d.used[actual]
		if h.shape.whole && u.n > 0 || u.mem+p.mem > d.mem || u.comp+p.comp > d.comp {
			return false
		}
	}
	return h.resourcesFree()
}

func (h *holding) resourcesFree() bool {
	for i, amount := range h.need {
		if amount > 0 && h.node.left(i, actual) < amount {
			return false
		}
	}
	return true
}

// sit gives a new pod the place that its predecessor was moved to, if any.
func (e *Engine) sit(p *pod) bool {
	w := p.w
	i := slices.IndexFunc(w.seats, func(s *seat) bool { return s.hold.shape == p.shape })
	if i < 0 || w.Suspended {
		return false
	}
	h := w.seats[i].hold
	e.seats = slices.DeleteFunc(e.seats, func(s *seat) bool { return s == w.seats[i] })
	w.seats = slices.Delete(w.seats, i, i+1)
	h.pod, h.seat = p, false
	w.later++
	h.node.pool.hope.prey++ // a seat is nobody's to take, a pod's place may be
	e.book(w, []*holding{h})
	return true
}

// expire gives up the places of moved pods that have no successor in time.
func (e *Engine) expire() {
	for _, s := range slices.Clone(e.seats) {
		if s.until <= e.now {
			e.unseat(s)
		}
	}
}

func (e *Engine) unseat(s *seat) {
	same := func(x *seat) bool { return x == s }
	s.w.seats = slices.DeleteFunc(s.w.seats, same)
	e.seats = slices.DeleteFunc(e.seats, same)
	e.put(s.hold, 0)
}

func (e *Engine) unseatHolding(h *holding) {
	for _, s := range slices.Clone(h.w.seats) {
		if s.hold == h {
			e.unseat(s)
		}
	}
}
