package sched

import (
	"cmp"
	"math/bits"
	"slices"
)

// unit is what has to stop together when one of its pods does: a single pod
// while its workload runs above its minimum, else the whole workload.
type unit struct {
	w        *workload
	held     []*holding
	acct     *account
	rule     Rule
	standing int64 // of its owner, the more it borrows the higher
	charge   vec
	lost     int64 // milli-GPU-seconds of work thrown away
	spared   Time  // until when other borrowers leave it alone
	level    int   // by service, where it matters
	kept     bool  // it is suspended and not evicted
	gentle   bool  // it may not be evicted
}

// asker is a workload that looks for victims.
type asker struct {
	e      *Engine
	w      *workload
	acct   *account
	pool   *pool
	demand vec  // what is still to be placed
	owed   bool // some of its owners are within quota
	placed []Placement
}

// unit returns what has to stop with h, and whether the asker may stop it.
// It is judged in the present state, evictions of the same plan included.
func (a *asker) unit(h *holding) (unit, bool) {
	w := h.w
	if w == nil || w == a.w || h.pod == nil || h.in&inLater == 0 || h.in&inFixed != 0 {
		return unit{}, false
	}
	u := unit{w: w, acct: h.acct(), held: []*holding{h}}
	if a.vainly(&u) {
		return unit{}, false
	}
	if h.pod.state == promised && h.pod.round == a.e.decides { // not in the same breath: somebody stops for it
		a.e.again = true
		return unit{}, false
	}
	if h.pod.state == promised && !w.breaksWithout(w.booking) { // a place that is only promised costs nobody any work
		u.held = w.booking.holdings
		for _, x := range u.held {
			u.charge.add(x.charge)
		}
		return u, a.mayTake(&u)
	}
	if w.Min > 1 && (h.pod.state == promised || w.later <= w.Min) {
		u.held = slices.DeleteFunc(w.held(), func(x *holding) bool { return x.in&inLater == 0 })
	}
	for _, x := range u.held {
		if x.pod.round == a.e.decides { // not in the same breath
			a.e.again = true
			return unit{}, false
		}
		if until := x.pod.since + Time(w.MinRuntime); w.MinRuntime > 0 && until > a.e.now {
			a.e.preyAt = earliest(a.e.preyAt, until)
			return unit{}, false
		}
		u.spared = max(u.spared, a.pool.spares(x.pod.since))
		u.charge.add(x.charge)
		u.lost += a.e.lostBy(x)
	}
	if a.pool.Surplus == ByService || u.acct == a.acct && a.e.yieldsWithin(w) {
		u.level = w.level
	}
	if !a.mayTake(&u) {
		return u, false
	}
	if u.kept = u.kept || u.keepable(); u.kept {
		u.lost = 0
	}
	return u, true
}

// breaksWithout reports whether w is a gang that runs, and reaches its minimum
// only with what it is promised.
func (w *workload) breaksWithout(b *booking) bool {
	n := len(b.holdings)
	return w.Min > 1 && n < w.later && w.later-n < w.Min
}

// mayTake applies the rules of reclaim and preemption to u. They put what is
// guaranteed before what is borrowed, and each owner's work in an order of its
// own, by priority; why taking ends rests on that (docs/designs/0001-engine.md).
//
// Within one owner, a higher priority takes from a lower one; see mayPreempt.
// Between owners, let x and y be the ancestors of asker and victim that are
// siblings. Every account from the victim's up to y has to be above its quota,
// in something that the victim holds and the asker needs. Then x takes what
// keeps it within its quota; beyond that, x and y divide surplus: a higher band
// takes from a lower one, and inside a band x takes while it ends up with no
// more borrowed per weight than y is left with. The less important work of the
// victim's project does not count as left: it would have to go first. And
// inside a band what started is left alone for the pool's SurplusRuntime:
// evening out is worth no more than what it stops.
func (a *asker) mayTake(u *unit) bool {
	if u.acct == a.acct {
		u.rule = Preempt
		if a.w.Priority == u.w.Priority && a.e.yieldsWithin(a.w) {
			return a.outserves(u)
		}
		return a.w.Priority > u.w.Priority && a.acct.mayPreempt(a.w.Priority, a.demand, u.charge)
	}
	u.rule = Reclaim
	x, y := siblings(a.acct, u.acct)
	held := a.demand.where(u.charge)
	for v := u.acct; ; v = v.parent {
		if !v.used.over(v.quota, held) {
			return false
		}
		if v == y {
			break
		}
	}
	u.standing = y.standing(y.used, false)
	after := x.used.plus(a.demand)
	if !after.over(x.quota, a.demand) {
		return true
	}
	gone := u.charge.plus(u.acct.lesser(u.w.Priority))
	for v := u.acct; ; v = v.parent {
		if left := v.used.minus(gone); left.under(v.quota, held) {
			return false // a borrower's claim ends at what is guaranteed
		}
		if v == y {
			break
		}
	}
	if x.priority != y.priority {
		return x.priority > y.priority
	}
	if a.pool.Surplus == ByService {
		return a.outserves(u)
	}
	left := y.standing(y.used.minus(gone), false)
	if x.weight == 0 || !ratioLess(x.standing(x.used, false), x.weight, left, y.weight) ||
		ratioCmp(x.standing(after, false), x.weight, left, y.weight) > 0 {
		return false
	}
	if u.spared > a.e.now {
		a.e.preyAt = earliest(a.e.preyAt, u.spared)
		return false
	}
	return true
}

// spares returns until when what started then is left alone by other borrowers:
// a whole second, so that those who wait are looked at once a second, however
// many borrowers start in it.
func (p *pool) spares(since Time) Time {
	if p.SurplusRuntime == 0 {
		return 0
	}
	return (since + Time(p.SurplusRuntime) + 999) / 1000 * 1000
}

// mayPreempt reports whether work of a priority that asks for demand may take
// work with that charge from its own owner: at every level of the tree, the
// winner has to be within quota, or the loser among what is borrowed. What is
// guaranteed does not give way to what would be borrowed.
func (a *account) mayPreempt(priority int32, demand, charge vec) bool {
	lesser := a.lesser(priority)
	for v := a; v != nil; v = v.parent {
		if v.used.minus(lesser).plus(demand).over(v.quota, demand) && !v.used.over(v.quota, charge) {
			return false
		}
	}
	return true
}

// siblings returns the ancestors of a and b below their lowest common one.
func siblings(a, b *account) (x, y *account) {
	depth := func(c *account) (n int) {
		for ; c != nil; c = c.parent {
			n++
		}
		return n
	}
	da, db := depth(a), depth(b)
	for ; da > db; da-- {
		a = a.parent
	}
	for ; db > da; db-- {
		b = b.parent
	}
	for a.parent != b.parent {
		a, b = a.parent, b.parent
	}
	return a, b
}

// take stops a unit in the present transaction.
func (e *Engine) take(u *unit) {
	for _, h := range u.held {
		e.put(h, h.in&^inLater)
	}
}

// magnitude is lost work in GPU hours, to a power of two; 0 is less than one.
// What is of one magnitude makes less of a difference than who loses it.
func magnitude(lost int64) int { return bits.Len64(uint64(lost) / (1000 * 3600)) }

// cost compares ways to make room: work of the least priority first, then with
// the least work lost, to a magnitude, then fewer workloads, from whoever
// borrows most.
type cost struct {
	evicts   int // of units that are not just suspended
	preempts int
	units    int
	level    int
	standing int64
	priority int32
	lost     int64
	gpu      int64
}

func costOf(units []unit) cost {
	c := cost{units: len(units), level: levels, standing: perTrillion}
	for i := range units {
		u := &units[i]
		c.level = min(c.level, u.level)
		c.evicts += b2i(u.w.Swappable && !u.kept)
		if u.rule == Preempt {
			c.preempts++
		} else {
			c.standing = min(c.standing, u.standing)
		}
		if i == 0 || u.w.Priority > c.priority {
			c.priority = u.w.Priority
		}
		c.lost += u.lost
		c.gpu += u.charge[0]
	}
	return c
}

func costCmp(a, b cost) int {
	return cmp.Or(
		cmp.Compare(min(a.units, 1), min(b.units, 1)),
		cmp.Compare(a.evicts, b.evicts),
		cmp.Compare(a.preempts, b.preempts),
		cmp.Compare(a.priority, b.priority),
		cmp.Compare(magnitude(a.lost), magnitude(b.lost)),
		cmp.Compare(a.units, b.units),
		cmp.Compare(b.level, a.level),
		cmp.Compare(b.standing, a.standing),
		cmp.Compare(a.lost, b.lost),
		cmp.Compare(a.gpu, b.gpu),
	)
}

func unitCmp(a, b unit) int {
	return cmp.Or(
		boolCmp(a.w.Swappable && !a.kept, b.w.Swappable && !b.kept),
		cmp.Compare(b.rule, a.rule), // reclaim before preempt
		cmp.Compare(a.w.Priority, b.w.Priority),
		cmp.Compare(magnitude(a.lost), magnitude(b.lost)),
		cmp.Compare(b.level, a.level),
		cmp.Compare(b.standing, a.standing),
		cmp.Compare(a.lost, b.lost),
		cmp.Compare(a.w.ID, b.w.ID),
		cmp.Compare(a.held[0].pod.id, b.held[0].pod.id),
	)
}

// couldClear bounds clear from above without trying: what is free on n and what
// the asker's lenders have there is enough. False is a proof.
func (a *asker) couldClear(s *shape, n *node) bool {
	devices := int64(0)
	for i := range n.devices {
		if _, _, unused := n.devices[i].free(later); unused {
			devices++
		}
	}
	cpu, mem := n.left(resCPU, later), n.left(resMemory, later)
	for _, h := range n.holders {
		if h.w == nil || h.in&inLater == 0 || h.in&inFixed != 0 || !a.mayLend(h) {
			continue
		}
		devices += int64(len(h.parts))
		cpu += h.need[resCPU]
		mem += h.need[resMemory]
	}
	if s.whole && devices < int64(s.ask.Devices) {
		return false
	}
	return cpu >= s.need[resCPU] && mem >= s.need[resMemory]
}

// mayLend reports whether h's owner could have to give something to the asker.
func (a *asker) mayLend(h *holding) bool {
	acct := h.acct()
	if acct == a.acct {
		return h.w.Priority < a.w.Priority || h.w.Priority == a.w.Priority && a.e.yieldsWithin(a.w)
	}
	return acct.used.over(acct.quota, a.demand)
}

// clear finds a smallest set of units on n whose stop lets a pod of s fit
// there. It leaves the state as it was. ok is false when there is none.
func (a *asker) clear(s *shape, n *node) (units []unit, ok bool) {
	e := a.e
	if !n.open() || !e.fits(s, n, a.placed) {
		return nil, false
	}
	if e.slots(s, n, later, 1) > 0 {
		return nil, true
	}
	all := a.unitsOn(n)
	start := e.mark()
	for _, u := range all { // one is better than any two
		e.take(&u)
		fit := e.slots(s, n, later, 1) > 0
		e.back(start)
		if fit {
			return []unit{u}, true
		}
	}
	enough := func() bool { return e.slots(s, n, later, 1) > 0 }
	marks, refused, fit := a.takeUntil(all, enough)
	for i := 0; i < len(refused) && !fit; i++ {
		e.back(start)
		marks, _, fit = a.takeUntil(slices.Insert(slices.Clone(all), 0, refused[i]), enough)
	}
	if !fit {
		e.back(start)
		return nil, false
	}
	lean := a.prune(s, n, slices.Clone(marks))
	e.back(start)
	if a.entitled(lean) { // a right may rest on having taken another first
		return lean, true
	}
	return marks, true
}

// takeUntil takes units one after the other until it is enough. It passes over
// those, and returns them, to which the asker has no right any more with what
// it took before.
func (a *asker) takeUntil(units []unit, enough func() bool) (taken, refused []unit, ok bool) {
	for _, u := range units {
		again, ok := a.unit(u.held[0])
		if !ok {
			refused = append(refused, u)
			continue
		}
		a.e.take(&again)
		taken = append(taken, again)
		if enough() {
			return taken, refused, true
		}
	}
	return taken, refused, false
}

// unitsOn lists what the asker may stop on n, what it should stop first first.
func (a *asker) unitsOn(n *node) []unit {
	var all []unit
	seen := map[*workload]bool{}
	for _, h := range n.holders {
		if h.w != nil && seen[h.w] {
			continue
		}
		if u, ok := a.unit(h); ok {
			if len(u.held) > 1 {
				seen[h.w] = true
			}
			all = append(all, u)
		}
	}
	slices.SortFunc(all, unitCmp)
	return all
}

// prune gives back, the costliest first, every unit without which a pod of s
// still fits on n. The units have been taken in the present transaction.
func (a *asker) prune(s *shape, n *node, units []unit) []unit {
	e := a.e
	for i := len(units) - 2; i >= 0; i-- {
		m := e.mark()
		for _, h := range units[i].held {
			e.put(h, h.in|inLater)
		}
		if e.slots(s, n, later, 1) > 0 {
			units = slices.Delete(units, i, i+1)
		} else {
			e.back(m)
		}
	}
	return units
}
