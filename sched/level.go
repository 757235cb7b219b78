package sched

// levels bounds [Config.Levels], and so the levels that are told apart.
const levels = 8

// stock is what one running workload adds to its account's sums by level.
type stock struct {
	acct   *account
	level  int
	charge int64 // micro-GPUs
}

// levelFor is the level that a service (ms of GPU time) reaches in an account.
func (e *Engine) levelFor(served int64, acct *account) int {
	for i, bound := range e.cfg.Levels {
		if served < bound*max(acct.weight, 1) {
			return i
		}
	}
	return len(e.cfg.Levels)
}

// service is the GPU time (ms) that w was given up to now.
func (e *Engine) service(w *workload) int64 {
	sum := w.served
	for _, p := range w.placed {
		if p.state == granted {
			sum += mulDiv(p.hold.charge[0], max(int64(e.now-p.since), 0), GPU, false)
		}
	}
	return sum
}

// place in the order of its owner, among equal priorities.
func (e *Engine) turn(w *workload) int {
	o := e.owners[w.Owner]
	switch {
	case o == nil:
		return 0
	case o.Discipline == Service:
		return w.level
	case o.Discipline == Shortest && w.Expected > 0:
		return e.levelFor(max(w.Expected-w.served, 0), e.payer(w))
	case o.Discipline == Shortest:
		return e.levelFor(w.served, e.payer(w))
	}
	return 0
}

// payer is the account by whose weight w's service is measured: that of where
// it runs, else of the first pool that it may use.
func (e *Engine) payer(w *workload) *account {
	if len(w.placed) > 0 {
		return w.placed[0].hold.acct()
	}
	return e.pool(e.poolsOf(w)[0]).accountOf(w)
}

// relevel brings up to date what follows from w's service, after it started,
// stopped or rose.
func (e *Engine) relevel(w *workload) {
	if e.treeDirty || !w.declared {
		return
	}
	e.rising.remove(w)
	if f := &w.fills; f.acct != nil {
		f.acct.stocks[f.level] -= f.charge
		*f = stock{}
	}
	acct := e.payer(w)
	if w.level = 0; !e.ranks(w, acct.pool) {
		return
	}
	w.level = e.levelFor(e.service(w), acct)
	charge := int64(0)
	for _, p := range w.placed {
		if p.state == granted {
			charge += p.hold.charge[0]
		}
	}
	if charge == 0 {
		return
	}
	if w.Swappable {
		w.fills = stock{acct, w.level, charge}
		acct.stocks[w.level] += charge
		acct.pool.hope.prey += uint64(b2i(w.level > 0))
	}
	if w.level < len(e.cfg.Levels) {
		lacks := e.cfg.Levels[w.level]*max(acct.weight, 1) - e.service(w)
		w.rises = e.now + Time(mulDiv(lacks, GPU, charge, true)) // never late: services are rounded down
		e.rising.push(w)
	}
}

// ranks reports whether w's service decides anything in a pool.
func (e *Engine) ranks(w *workload, p *pool) bool { return e.yieldsWithin(w) || p.Surplus == ByService }

// relevelAll is relevel for all, after weights changed.
func (e *Engine) relevelAll() {
	for _, w := range e.sortedWorkloads() {
		e.relevel(w)
		e.requeue(w)
	}
}

func risesBefore(a, b *workload) bool {
	if a.rises != b.rises {
		return a.rises < b.rises
	}
	return a.ID < b.ID
}

// rise moves those up whose time has come. Others may have a better claim to
// what they hold then.
func (e *Engine) rise() {
	for e.rising.len() > 0 && e.rising.top().rises <= e.now {
		w := e.rising.top()
		e.payer(w).pool.hope.prey++
		e.relevel(w)
		e.requeue(w)
	}
}

// above is how much (micro-GPUs) a's running workloads of higher levels hold.
func (a *account) above(level int) (sum int64) {
	for _, x := range a.stocks[min(level+1, levels):] {
		sum += x
	}
	return sum
}

// outserved reports whether work of higher levels could make enough room for a
// demand of w, were it suspended. False is a proof that it cannot.
func (e *Engine) outserved(w *workload, acct *account, demand vec) bool {
	level := w.level + e.cfg.Hysteresis
	free := acct.pool.total[0] - acct.pool.root.used[0]
	sum := free
	if e.yieldsWithin(w) {
		sum += acct.above(level)
	}
	if acct.pool.Surplus == ByService {
		for _, y := range acct.pool.leaves {
			if surplus := y.used[0] - y.quota[0]; y != acct && y.quota[0] >= 0 && surplus > 0 {
				sum += min(surplus, y.above(level))
			}
		}
	}
	return sum > free && sum >= demand[0]
}

// yieldsWithin reports whether w's owner divides its own by service.
func (e *Engine) yieldsWithin(w *workload) bool {
	o := e.owners[w.Owner]
	return o != nil && o.Discipline == Service
}

// outserves reports whether u was served so much more than the asker that it
// yields. It yields gently: it is suspended or goes on.
func (a *asker) outserves(u *unit) bool {
	if a.w.level+a.e.cfg.Hysteresis >= u.w.level {
		return false
	}
	u.gentle, u.kept = true, u.keepable()
	return u.kept
}

// vainly reports, without a closer look at u, that the asker has no right to
// it: the common case among equals that divide surplus by service.
func (a *asker) vainly(u *unit) bool {
	x, y := a.acct, u.acct
	return !a.owed && a.pool.Surplus == ByService && x != y && x.parent == y.parent &&
		x.priority <= y.priority && a.w.level+a.e.cfg.Hysteresis >= u.w.level
}

// front is the lowest level of what a would try next.
func (a *account) front() int {
	for a.awake.len() > 0 {
		a = a.awake.top()
	}
	if a.queue.len() == 0 {
		return levels
	}
	return a.queue.top().queue.head.w.level
}

// reface repairs the places of a and the accounts above it after what it would
// try next changed.
func (a *account) reface() {
	if a.pool.Surplus != ByService {
		return
	}
	for ; a.parent != nil; a = a.parent {
		a.parent.awake.fix(a)
	}
}
