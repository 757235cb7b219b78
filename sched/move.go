package sched

import (
	"cmp"
	"slices"
)

// relocation is one pod that changes its place.
type relocation struct {
	from *holding
	to   *holding
}

// consolidate moves running pods together so that the asker's pods fit, when
// there is room enough in sum. Only pods that stop alone are moved, each to a
// place that is free now, and nobody loses its turn.
func (a *asker) consolidate(groups []group) bool {
	e := a.e
	if !e.mayMove(a.pool, a.demand) {
		return false
	}
	if where, _ := a.acct.gate(a.demand, !a.w.Preemptible); where != nil {
		return false
	}
	mover := *a
	mover.moving = true
	e.begin()
	var placed []*holding
	var moves []relocation
	for _, g := range groups {
		for _, p := range g.pods {
			h, more, ok := mover.makeRoom(p, g.shape)
			if !ok {
				e.rollback()
				return false
			}
			placed, moves = append(placed, h), append(moves, more...)
			mover.placed = append(mover.placed, Placement{Pod: p.id, Node: h.node.Name})
		}
	}
	e.rollback()
	if len(moves) == 0 {
		return false // room is coming: claiming it needs no move
	}
	a.carryOutMoves(moves, placed)
	return true
}

// makeRoom places p, moving others if needed.
func (a *asker) makeRoom(p *pod, s *shape) (*holding, []relocation, bool) {
	e := a.e
	if e.effort < -e.cfg.Effort {
		return nil, nil, false
	}
	if n := e.best(e.tree(s, a.pool), a.placed); n != nil {
		if h := e.lay(p, s, n, now); h != nil && a.allowed(h) {
			e.put(h, inLater|inFixed)
			return h, nil, true
		}
	}
	b := e.bounds(e.tree(s, a.pool))
	var points []point
	const most = 256 // nodes looked at for one pod
	looked := 0
	for leaf, fit := range b.fixed {
		if fit == 0 {
			continue
		}
		if looked++; looked > most {
			break
		}
		if pt, ok := a.look(s, a.pool.nodes[leaf]); ok && len(pt.units) > 0 {
			points = append(points, pt)
		}
	}
	slices.SortFunc(points, func(x, y point) int {
		return cmp.Or(cmp.Compare(x.cost.gpu, y.cost.gpu), pointCmp(x, y))
	})
	const tries = 16
	for _, pt := range points[:min(tries, len(points))] {
		m := e.mark()
		for i := range pt.units {
			e.take(&pt.units[i])
		}
		if h := e.lay(p, s, pt.node, later); h != nil && a.allowed(h) {
			e.put(h, inLater|inFixed)
			if moves := a.resettle(pt.units); moves != nil {
				return h, moves, true
			}
		}
		e.back(m)
	}
	return nil, nil, false
}

// allowed reports whether quota and limit leave room for what h is charged.
func (a *asker) allowed(h *holding) bool {
	where, _ := a.acct.gate(h.charge, !a.w.Preemptible)
	return where == nil
}

// resettle finds a place that is free now for each of the stopped pods.
func (a *asker) resettle(units []unit) []relocation {
	e := a.e
	var moves []relocation
	for _, u := range units {
		from := u.held[0]
		n := e.best(e.tree(from.shape, a.pool), nil)
		if n == nil {
			return nil
		}
		to := e.lay(from.pod, from.shape, n, now)
		if to == nil {
			return nil
		}
		if where, _ := u.acct.gate(to.charge, false); where != nil {
			return nil
		}
		to.seat = true
		e.put(to, inLater|inFixed)
		moves = append(moves, relocation{from: from, to: to})
	}
	return moves
}

func (a *asker) carryOutMoves(moves []relocation, placed []*holding) {
	e := a.e
	e.round++
	for _, m := range moves {
		w := m.from.w
		e.out = append(e.out, Decision{
			Action: Move, Workload: w.ID, Pod: m.from.pod.id, Grant: grantOf(m.to), For: a.w.ID,
			ForOwner: a.w.Owner, Rule: Consolidate, Charged: m.to.charge.amount(),
		})
		e.stop(m.from.pod)
		w.moved++
		m.to.pod = nil
		s := &seat{w: w, hold: m.to, until: e.now + Time(e.cfg.PromiseFor)}
		w.seats = append(w.seats, s)
		e.seats = append(e.seats, s)
		e.put(m.to, inLater|inFixed)
		e.requeue(w)
	}
	e.book(a.w, placed)
}
