package sched

import "slices"

// hope counts, by kind, the changes after which something may start that could
// not before. A sleeper is looked at again only when a count moved, and then
// only as far as that kind of change can matter to it.
type hope struct {
	room  uint64 // capacity became free, or pods began to leave
	prey  uint64 // an account crossed its quota, a minimum or surplus run time ended, a budget eased, configuration changed
	greed uint64 // a borrower started one more
}

// doubt is what a sleeper remembers of the last time planning said no.
type doubt struct {
	hope    hope
	read    int      // end of the pool's changes then
	outlook *outlook // by which its nodes were scored then
	owed    uint64   // levels of the owner tree at which its asker was within quota, as bits
}

// roomFor reports whether the sums of free places leave room for each group.
// False is a proof that they do not fit.
func (e *Engine) roomFor(groups []group, p *pool) bool {
	for _, g := range groups {
		if e.nowhere(g, p, now) || !e.holds(e.tree(g.shape, p), len(g.pods)) {
			return false
		}
	}
	return len(groups) > 0
}

// enoughIfBare reports whether each group would fit if everything that can be
// taken were gone. False is a proof that no planning can help.
func (e *Engine) enoughIfBare(groups []group, p *pool) bool {
	for _, g := range groups {
		if e.nowhere(g, p, fixed) || e.bounds(e.tree(g.shape, p)).sumFixed < int64(len(g.pods)) {
			return false
		}
	}
	return true
}

// due reports whether each group would fit once all that is leaving left, and
// stays within quota: then the room is promised. Borrowers wait until it is
// free, and take it in their order.
func (e *Engine) due(acct *account, groups []group, p *pool) bool {
	if p.leaving == 0 || acct.over(e.demand(groups, p)) {
		return false
	}
	for _, g := range groups {
		if e.nowhere(g, p, later) || e.bounds(e.tree(g.shape, p)).sumLater < int64(len(g.pods)) {
			return false
		}
	}
	return true
}

// claimDue reports whether a claim that was refused may succeed now. Where the
// asker's rights are as they were, only nodes that changed can make it so.
func (e *Engine) claimDue(en *entry) bool {
	x, p, d := en.queue.heap.top(), en.pool, en.doubt
	w, groups := x.w, x.groups
	if !e.claimAny(en.acct, w.Priority) && p.leaving == 0 {
		return false
	}
	demand := e.demand(groups, p)
	en.doubt = e.doubtNow(en, demand)
	if !e.due(en.acct, groups, p) && !e.mayClaim(w, en.acct, demand) {
		return false
	}
	owed := en.doubt.owed
	if d.hope.prey != p.hope.prey || owed&^d.owed != 0 || d.hope.greed != p.hope.greed ||
		d.read < p.changes.recent || d.outlook != e.outlookOf(p) {
		return true
	}
	if en.forbidden() { // what is needed is not only room
		return true
	}
	a := e.asker(w, en, groups)
	changed := slices.Collect(p.changes.since(d.read)) // to look makes more
	e.begin()
	defer e.rollback()
	for _, leaf := range changed {
		for _, g := range groups {
			if _, ok := a.look(g.shape, p.nodes[leaf]); ok {
				return true
			}
		}
	}
	return false
}

// over reports whether a demand would take a, or an account above it, above
// quota.
func (a *account) over(demand vec) bool {
	for ; a != nil; a = a.parent {
		if a.used.plus(demand).over(a.quota, demand) {
			return true
		}
	}
	return false
}

// owed returns at which levels of the owner tree the demand stays in quota.
func (e *Engine) owed(acct *account, demand vec) uint64 {
	var levels uint64
	for x, bit := acct, uint64(1); x.parent != nil; x, bit = x.parent, bit<<1 {
		if !x.used.plus(demand).over(x.quota, demand) {
			levels |= bit
		}
	}
	return levels
}

// doubtNow is what to remember when planning says no at this moment.
func (e *Engine) doubtNow(en *entry, demand vec) doubt {
	return doubt{
		hope: en.pool.hope, read: en.pool.changes.end(), outlook: e.outlookOf(en.pool), owed: e.owed(en.acct, demand),
	}
}

// The pauses (ms) between attempts to consolidate for one shape in one pool:
// such attempts are dear and, in a busy cluster, may be asked for all the time.
const (
	firstMovePause = 1000
	mostMovePauses = 6 // doublings
)

// moveDue reports whether consolidating for the groups may be tried: there is
// room in sum, something changed since it last failed, and the pause is over.
func (e *Engine) moveDue(p *pool, groups []group) bool {
	if !e.mayMove(p, e.demand(groups, p)) {
		return false
	}
	t := e.tree(groups[0].shape, p)
	if t.moveFails > 0 && !t.moveNews() {
		return false
	}
	if e.now < t.nextMove {
		e.moveAt = earliest(e.moveAt, t.nextMove)
		return false
	}
	return true
}

// moveNews reports whether room or rights changed since consolidating failed.
func (t *tree) moveNews() bool {
	return t.moveHope.room != t.pool.hope.room || t.moveHope.prey != t.pool.hope.prey
}

// moveFailed notes that consolidating for the groups failed.
func (e *Engine) moveFailed(en *entry, groups []group) {
	t := e.tree(groups[0].shape, en.pool)
	t.nextMove = e.now + firstMovePause<<min(t.moveFails, mostMovePauses)
	t.moveFails++
	t.moveHope = en.pool.hope
}

// mayMove reports whether moving could help: there is room enough in sum.
func (e *Engine) mayMove(p *pool, demand vec) bool {
	for i, d := range demand {
		if d > 0 && p.total[i]-p.root.used[i] < d {
			return false
		}
	}
	return demand[0] > 0
}
