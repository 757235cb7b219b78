package sched

import "slices"

// dorm holds the sleepers of one pool that want the same pods, and so wait for
// the same room: one look at the sums answers for all of them.
type dorm struct {
	wants    string
	sleepers []*entry
	reviewed uint64 // pool.reviews when it was last gone through
}

// groups is what each sleeper of d wants.
func (d *dorm) groups() []group { return d.sleepers[0].queue.heap.top().groups }

// admit adds en to its pool's sleepers.
func (p *pool) admit(en *entry) {
	key := en.queue.key.wants
	i, ok := p.dormIndex[key]
	if !ok {
		i = len(p.dorms)
		p.dormIndex[key] = i
		p.dorms = append(p.dorms, &dorm{wants: key})
	}
	en.sleeps = len(p.dorms[i].sleepers)
	p.dorms[i].sleepers = append(p.dorms[i].sleepers, en)
	if en.block == blockPlanning {
		p.planning++
	}
}

// discharge takes en out of its pool's sleepers.
func (p *pool) discharge(en *entry) {
	d := p.dorms[p.dormIndex[en.queue.key.wants]]
	d.sleepers = without(d.sleepers, en)
	if en.block == blockPlanning {
		p.planning--
	}
	if len(d.sleepers) > 0 {
		return
	}
	i, last := p.dormIndex[d.wants], len(p.dorms)-1
	p.dorms[i] = p.dorms[last]
	p.dormIndex[p.dorms[i].wants] = i
	p.dorms = p.dorms[:last]
	delete(p.dormIndex, d.wants)
}

// blockOn lets en, which an account forbids, sleep till that account eases.
func (en *entry) blockOn(where *account, why Reason) {
	en.where, en.why, en.sleeps = where, why, len(where.blocked)
	where.blocked = append(where.blocked, en)
}

// forbidden reports whether a limit, or quota, forbids what en last asked for.
func (en *entry) forbidden() bool {
	where, _ := en.acct.gate(en.demand, !en.queue.key.preemptible)
	return where != nil
}

// without takes en out of a list of sleepers, whose order means nothing.
func without(list []*entry, en *entry) []*entry {
	last := len(list) - 1
	list[en.sleeps] = list[last]
	list[en.sleeps].sleeps = en.sleeps
	list[last] = nil
	return list[:last]
}

// wakeAll wakes sleepers whose reasons may be gone. That borrowers took more is
// looked at once a Decide: it happens with nearly every start, and matters to
// few.
func (e *Engine) wakeAll(first bool) {
	for _, a := range e.eased {
		a.eased = false
		for _, en := range e.copied(a.blocked) {
			at, why := en.acct.gate(en.demand, !en.queue.key.preemptible)
			if at == nil || why == ReasonOverLimit && e.claimAny(en.acct, en.queue.key.priority) {
				e.wakeEntry(en)
				continue
			}
			a.blocked = without(a.blocked, en) // always on one that forbids it now
			en.blockOn(at, why)
		}
	}
	e.eased = e.eased[:0]
	for _, p := range e.poolList {
		news := p.hope
		if !first {
			news.greed = p.seen.greed
		}
		if p.seen.prey != news.prey || p.seen.greed != news.greed {
			e.wakeLimited(p)
		}
		if p.seen != news || p.crowded {
			p.unreviewed = p.unreviewed || p.seen != news
			p.seen, p.crowded = news, false
			for _, d := range slices.Clone(p.dorms) {
				e.wakeFirst(p, d)
			}
		}
		if p.unreviewed || p.planning > 0 {
			e.review(p)
		}
	}
}

// wakeLimited wakes those who wait below a limit: there may be work now that has
// to give way to them.
func (e *Engine) wakeLimited(p *pool) {
	for _, name := range sortedKeys(p.accounts) {
		for _, en := range e.copied(p.accounts[name].blocked) {
			if en.why == ReasonOverLimit && e.claimAny(en.acct, en.queue.key.priority) {
				e.wakeEntry(en)
			}
		}
	}
}

// wakeFirst wakes the first in line of d where there is room. The others have
// their turn when that one had its own: it may take all there is.
func (e *Engine) wakeFirst(p *pool, d *dorm) {
	if len(d.sleepers) == 0 || !e.roomFor(d.groups(), p) {
		return
	}
	var best *entry
	for _, en := range d.sleepers {
		switch {
		case en.round == e.round: // tried since anything last changed
		case en.why == ReasonOverLimit && en.forbidden(): // needs more than room
		case best == nil:
			best = en
		default:
			p.crowded = true
			if entryBefore(en, best) {
				best = en
			}
		}
	}
	if best != nil {
		e.wakeEntry(best)
	}
}

// review goes through the sleepers for whom planning may say yes now, dormitory
// by dormitory from where it stopped, as far as effort reaches.
func (e *Engine) review(p *pool) {
	p.reviews++
	for done := 0; done < len(p.dorms); {
		p.cursor %= len(p.dorms)
		d := p.dorms[p.cursor]
		if d.reviewed == p.reviews {
			p.cursor++
			done++
			continue
		}
		if !e.reviewDorm(p, d) {
			return
		}
		d.reviewed, done = p.reviews, 0 // when all of it woke, another lies here now
	}
	p.unreviewed = false
}

// reviewDorm reports false when effort ran out.
func (e *Engine) reviewDorm(p *pool, d *dorm) bool {
	groups := d.groups()
	hope := d.anyHope(e, p) && e.enoughIfBare(groups, p)
	move := hope && e.moveDue(p, groups)
	for _, en := range e.copied(d.sleepers) {
		if en.round == e.round || en.doubt.hope == p.hope && en.block != blockPlanning {
			continue
		}
		if e.effort--; e.effort <= 0 {
			return false
		}
		switch {
		case !hope:
			en.doubt = e.doubtNow(en, en.demand)
		case move, en.block == blockPlanning, e.claimDue(en):
			e.wakeEntry(en)
		}
	}
	return true
}

// anyHope reports whether planning for any of d could be worth a closer look.
func (d *dorm) anyHope(e *Engine, p *pool) bool {
	return p.planning > 0 || p.leaving > 0 || e.mayMove(p, e.demand(d.groups(), p)) ||
		slices.ContainsFunc(d.sleepers, func(en *entry) bool { return e.claimAny(en.acct, en.queue.key.priority) })
}

// copied returns a copy of a list that waking changes.
func (e *Engine) copied(list []*entry) []*entry {
	e.waking = append(e.waking[:0], list...)
	return e.waking
}

// entryBefore is the order of all entries of a pool: that in which a walk down
// the owner tree would come to them.
func entryBefore(a, b *entry) bool {
	if a.acct == b.acct {
		return entryLess(a, b)
	}
	x, y := siblings(a.acct, b.acct)
	return accountLess(x, y)
}

// claimAny reports whether anybody of acct could have a right to take anything,
// whatever it asks for. It is worked out once for each change of the pool.
func (e *Engine) claimAny(acct *account, priority int32) bool {
	if len(acct.victims) > 0 && acct.victims[0].priority < priority {
		return true
	}
	if acct.claimHope != acct.pool.hope || !acct.claimKnown {
		acct.claimHope, acct.claimKnown = acct.pool.hope, true
		acct.claims = acct.mayEver()
	}
	return acct.claims
}

// mayEver is claimAny without its memory: at some level, a sibling borrows, and
// there is quota left, or a better claim to the surplus.
func (a *account) mayEver() bool {
	if a.above(0) > 0 {
		return true
	}
	for x := a; x.parent != nil; x = x.parent {
		owed := false
		for i, q := range x.quota {
			owed = owed || q < 0 || x.used[i] < q
		}
		for _, y := range x.parent.children {
			if y == x || !y.borrowing() {
				continue
			}
			if owed || x.priority > y.priority || a.pool.Surplus == ByService && y.above(0) > 0 ||
				a.pool.Surplus != ByService && x.priority == y.priority && x.weight > 0 &&
					ratioLess(x.standing(x.used, false), x.weight, y.standing(y.used, false), y.weight) {
				return true
			}
		}
	}
	return false
}
