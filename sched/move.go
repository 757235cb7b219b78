package sched

// relocation is one pod that changes its place.
type relocation struct {
	from *holding
	to   *holding
}

// consolidate moves running pods together so that the asker's pods fit, when
// there is room enough in sum. Only pods that stop alone are moved, each to a
// place that is free now or that another of them leaves, and nobody loses its
// turn.
func (a *asker) consolidate(groups []group) bool {
	e := a.e
	if !e.mayMove(a.pool, a.demand) {
		return false
	}
	if where, _ := a.acct.gate(a.demand, !a.w.Preemptible); where != nil {
		return false
	}
	mover := *a
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
	m := &mover{asker: a, pod: p, shape: s, asks: e.floorCharge(s, a.pool)[0], homes: map[*shape]bool{}}
	return m.run()
}

// allowed reports whether quota and limit leave room for what h is charged.
func (a *asker) allowed(h *holding) bool {
	where, _ := a.acct.gate(h.charge, !a.w.Preemptible)
	return where == nil
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
	}
	for _, m := range moves { // a seat may be where another of them was
		w := m.from.w
		m.to.pod = nil
		s := &seat{w: w, hold: m.to, until: e.now + Time(e.cfg.PromiseFor)}
		w.seats = append(w.seats, s)
		e.seats = append(e.seats, s)
		e.put(m.to, inLater|inFixed)
		e.requeue(w)
	}
	e.book(a.w, placed)
}
