package sched

// Use is what an owner has in a pool.
type Use struct {
	Owner     string
	Pool      string
	Quota     Amount
	Limit     Amount
	Requested Amount // granted and waiting
	Granted   Amount
	Borrowed  Amount // granted above quota
	Lent      Amount // quota that others use now
	Running   int    // pods
	Waiting   int    // pods
}

// Usage returns the use of every owner in every pool that it has a part or work
// in, in order of pool and owner. Work that waits is counted in the first pool that it may use.
func (e *Engine) Usage() []Use {
	e.ensure()
	type demand struct {
		vec  vec
		pods int
	}
	want := map[*account]*demand{}
	for _, w := range e.sortedWorkloads() {
		if len(w.waiting) == 0 || w.Suspended {
			continue
		}
		p := e.pool(e.poolsOf(w)[0])
		var sum vec
		for _, pod := range w.waiting {
			sum.add(e.floorCharge(pod.shape, p))
		}
		for a := p.accountOf(w); a != nil; a = a.parent {
			if want[a] == nil {
				want[a] = &demand{}
			}
			want[a].vec.add(sum)
			want[a].pods += len(w.waiting)
		}
	}
	var out []Use
	for _, p := range e.poolList {
		lent := map[*account]vec{}
		p.root.lend(vec{}, lent)
		for _, name := range sortedKeys(p.accounts) {
			a := p.accounts[name]
			_, part := e.part(name, p)
			if want[a] == nil && a.used == (vec{}) && !part || name == strangers {
				continue
			}
			u := Use{
				Owner: name, Pool: p.Name, Quota: a.quota.amount(), Limit: a.limit.amount(),
				Requested: a.used.amount(), Granted: a.used.amount(), Borrowed: a.used.above(a.quota).amount(),
				Lent: lent[a].amount(), Running: a.running,
			}
			if d := want[a]; d != nil {
				u.Requested, u.Waiting = a.used.plus(d.vec).amount(), d.pods
			}
			out = append(out, u)
		}
	}
	return out
}

// part returns what an owner is guaranteed in p, if anything was said of it.
func (e *Engine) part(owner string, p *pool) (op OwnerPool, ok bool) {
	if o := e.owners[owner]; o != nil {
		op, ok = o.Pools[p.Name]
	}
	return op, ok
}

// lend divides what a's children borrow among those whose quota stands idle:
// first what no child was promised is used up, then idle quotas in proportion.
// out is what is lent to others than a's children.
func (a *account) lend(out vec, lent map[*account]vec) {
	for i := range out {
		var idle, borrowed, promised int64
		for _, c := range a.children {
			if c.quota[i] >= 0 {
				idle += max(c.quota[i]-c.used[i], 0)
				borrowed += max(c.used[i]-c.quota[i], 0)
				promised += c.quota[i]
			}
		}
		own := a.quota[i]
		if a.parent == nil {
			own = a.pool.total[i]
		}
		spare := max(own-promised, 0) + max(a.used[i]-max(own, 0), 0)
		total := min(out[i]+max(borrowed-spare, 0), idle)
		for _, c := range a.children {
			if free := c.quota[i] - c.used[i]; c.quota[i] >= 0 && free > 0 && total > 0 {
				v := lent[c]
				v[i] = mulDiv(total, free, idle, false)
				lent[c] = v
			}
		}
	}
	for _, c := range a.children {
		c.lend(lent[c], lent)
	}
}
