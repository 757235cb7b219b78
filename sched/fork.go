package sched

import "maps"

// Facts returns the events that build an engine in e's state from nothing:
// what a restarted scheduler would read from the cluster. Promises are not
// among them; they follow from pods that are leaving.
func (e *Engine) Facts() []Event {
	var out []Event
	if m := e.expected; m != nil {
		ev := Expect{}
		for i, s := range m.shapes {
			ev.Pods = append(ev.Pods, Expected{Ask: s.ask, Weight: m.weights[i]})
		}
		out = append(out, ev)
	}
	for _, p := range e.poolList {
		out = append(out, PoolSet{p.Pool})
	}
	for _, n := range e.nodes {
		if !n.gone {
			out = append(out, NodeSet{n.Node})
		}
	}
	for _, name := range sortedKeys(e.owners) {
		out = append(out, OwnerSet{e.owners[name].Owner})
	}
	for _, id := range sortedKeys(e.away) {
		out = append(out, e.away[id])
	}
	for _, id := range sortedKeys(e.foreign) {
		out = append(out, e.foreign[id].fact)
	}
	for _, w := range e.sortedWorkloads() {
		if w.declared {
			facts := w.Workload
			facts.Moves -= w.moved
			facts.Served = w.served
			out = append(out, WorkloadSet{facts})
		}
		for _, p := range w.sorted() {
			out = append(out, PodSet{Workload: w.ID, Pod: Pod{ID: p.id, Ask: p.shape.ask}})
			if p.aside != nil && p.state != leaving {
				out = append(out, PodSuspended{ID: p.id, Node: p.aside.node.Name, HostMiB: p.aside.mib})
			}
			switch p.state {
			case granted, leaving:
				out = append(out, PodGranted{ID: p.id, Grant: grantOf(p.hold), Since: p.since})
			case lost:
				if p.grant.Node != "" {
					out = append(out, PodGranted{ID: p.id, Grant: p.grant, Since: p.since})
				}
			}
			if p.state == leaving || p.state == lost && (p.wasLeaving || p.grant.Node == "") {
				out = append(out, PodLeaving{p.id})
			}
		}
	}
	return out
}

// Fork returns an independent copy for what-if questions. It costs about a
// microsecond a pod. Promises are made anew by the copy's first Decide.
func (e *Engine) Fork() *Engine {
	f := New(e.cfg)
	f.now = e.now
	f.fitMemo = maps.Clone(e.fitMemo)
	for _, ev := range e.Facts() {
		_ = f.Apply(ev) // accepted once already
	}
	e.pace(f)
	return f
}

// pace lets f wait as long as e before it tries again to consolidate: till the
// pause is over, and something changed since it last failed.
func (e *Engine) pace(f *Engine) {
	f.ensure()
	for _, s := range e.shapeList {
		for _, p := range e.poolList {
			if p.index >= len(s.trees) || s.trees[p.index] == nil || s.trees[p.index].moveFails == 0 {
				continue
			}
			from, to := s.trees[p.index], f.intern(s.ask, s.most).treeIn(f.pool(p.Name))
			to.moveFails, to.nextMove = from.moveFails, from.nextMove
			if !from.moveNews() {
				to.moveHope = to.pool.hope
			}
		}
	}
}
