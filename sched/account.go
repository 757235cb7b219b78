package sched

import (
	"cmp"
	"maps"
	"slices"
)

// account is an owner's side in one pool: what it is guaranteed and has, and
// the queue of what it wants. Accounts form the owner tree of their pool.
type account struct {
	name     string
	pool     *pool
	parent   *account
	children []*account
	known    bool // its owner exists; the account of unknown owners is not

	quota, limit vec
	weight       int64
	priority     int32

	used     vec    // granted or promised
	firm     vec    // the non-preemptible part of used
	ranks    []rank // the preemptible part of used, by ascending priority; on leaves
	running  int    // pods
	borrowed bool   // whether it was above quota when last charged for good
	// victims are its running preemptible workloads by ascending priority;
	// inside a priority, those that started first come first.
	victims []*victims

	stocks [levels]int64 // micro-GPUs of running swappable work, by level

	awake heap[*account] // children with something to try
	queue heap[*entry]   // entries to try, on leaves
	at    int            // place in parent.awake
	// blocked are the entries that sleep until used or firm falls.
	blocked []*entry
	eased   bool
	// claims remembers claimAny for the state of the pool in claimHope.
	claims, claimKnown bool
	claimHope          hope
}

// rank is what the preemptible work of one priority has.
type rank struct {
	priority int32
	used     vec
}

// ranked changes what the preemptible work of a priority has.
func (a *account) ranked(priority int32, charge vec, on bool) {
	i := 0
	for i < len(a.ranks) && a.ranks[i].priority < priority {
		i++
	}
	if i == len(a.ranks) || a.ranks[i].priority != priority {
		a.ranks = slices.Insert(a.ranks, i, rank{priority: priority})
	}
	if on {
		a.ranks[i].used.add(charge)
	} else {
		a.ranks[i].used.sub(charge)
	}
}

// lesser is what a has in preemptible work of a lower priority.
func (a *account) lesser(priority int32) vec {
	var sum vec
	for i := 0; i < len(a.ranks) && a.ranks[i].priority < priority; i++ {
		sum.add(a.ranks[i].used)
	}
	return sum
}

type victims struct {
	priority int32
	items    []*listing
}

func newAccount(name string, p *pool, parent *account) *account {
	a := &account{name: name, pool: p, parent: parent, at: -1, weight: 1, limit: NoLimit.vec()}
	a.quota = vec{0, Unbounded, Unbounded}
	a.awake = heap[*account]{less: accountLess, at: func(x *account) *int { return &x.at }}
	a.queue = heap[*entry]{less: entryLess, at: func(x *entry) *int { return &x.at }}
	if parent != nil {
		parent.children = append(parent.children, a)
	}
	return a
}

// strangers is the name of the account of workloads whose owner is not known.
const strangers = ""

// buildAccounts lays out the owner tree of every pool afresh, and charges it
// with everything held. It is called when owners came, went or moved.
func (e *Engine) buildAccounts() {
	e.treeDirty = false
	for _, p := range e.poolList {
		p.accounts = map[string]*account{}
		p.root = newAccount("", p, nil)
		p.root.quota = NoLimit.vec()
		p.root.known = true
		p.accounts[strangers] = newAccount(strangers, p, p.root)
		for _, name := range slices.Sorted(maps.Keys(e.owners)) {
			e.openAccount(p, name, 0)
		}
		p.leaves = nil
		for _, name := range sortedKeys(p.accounts) {
			if a := p.accounts[name]; len(a.children) == 0 {
				p.leaves = append(p.leaves, a)
			}
		}
		p.dorms, p.dormIndex, p.planning = nil, map[string]int{}, 0
		p.hope.prey++
	}
	for _, w := range e.workloads {
		w.listings, w.accts, w.fills = nil, nil, stock{}
	}
	for _, n := range e.nodes {
		for _, h := range n.holders {
			if h.w != nil && h.in&inLater != 0 {
				e.charge(h, true)
			}
		}
	}
	for _, w := range e.sortedWorkloads() {
		w.wishes = nil
	}
	e.queues = map[queueKey]*queue{}
	for _, w := range e.sortedWorkloads() {
		for _, h := range w.held() {
			e.addVictim(h)
		}
		e.relevel(w)
		e.requeue(w)
	}
}

// openAccount returns the account of an owner, opening its parents' first. A
// chain of parents that never ends hangs below the root.
func (e *Engine) openAccount(p *pool, name string, depth int) *account {
	if a := p.accounts[name]; a != nil {
		return a
	}
	o := e.owners[name]
	parent := p.root
	if o.Parent != "" && e.owners[o.Parent] != nil && depth <= len(e.owners) && !e.cyclic(name) {
		parent = e.openAccount(p, o.Parent, depth+1)
	}
	a := newAccount(name, p, parent)
	a.known = true
	a.configure(o.Owner)
	p.accounts[name] = a
	return a
}

func (e *Engine) cyclic(name string) bool {
	seen := map[string]bool{}
	for at := name; at != ""; {
		if seen[at] {
			return true
		}
		seen[at] = true
		o := e.owners[at]
		if o == nil {
			return false
		}
		at = o.Parent
	}
	return false
}

// configure takes over what the owner is guaranteed in the account's pool.
func (a *account) configure(o Owner) {
	op, ok := o.Pools[a.pool.Name]
	if !ok {
		op = OwnerPool{Quota: Amount{CPU: Unbounded, Memory: Unbounded}, Limit: NoLimit, Weight: 1}
	}
	a.quota, a.limit = op.Quota.vec(), op.Limit.vec()
	a.weight, a.priority = op.Weight, op.Priority
}

// accountOf returns the account that pays for w in p.
func (p *pool) accountOf(w *workload) *account {
	for p.index >= len(w.accts) {
		w.accts = append(w.accts, nil)
	}
	if w.accts[p.index] == nil {
		w.accts[p.index] = p.accounts[strangers]
		if a := p.accounts[w.Owner]; a != nil {
			w.accts[p.index] = a
		}
	}
	return w.accts[p.index]
}

// charge books h on its account and all above it.
func (e *Engine) charge(h *holding, on bool) {
	if e.treeDirty {
		return
	}
	leaf := h.acct()
	if h.w.Preemptible {
		leaf.ranked(h.w.Priority, h.charge, on)
	}
	for a := leaf; a != nil; a = a.parent {
		if on {
			a.used.add(h.charge)
			a.running++
		} else {
			a.used.sub(h.charge)
			a.running--
		}
		e.crossed(a)
		if !h.w.Preemptible {
			if on {
				a.firm.add(h.charge)
			} else {
				a.firm.sub(h.charge)
			}
		}
		if e.tx == nil && !e.quiet {
			if a.parent != nil {
				a.parent.awake.fix(a)
			}
			if !on {
				e.easeOne(a)
			}
		}
	}
}

// borrowing reports whether a has more than its quota of anything.
func (a *account) borrowing() bool {
	for i, q := range a.quota {
		if q >= 0 && a.used[i] > q {
			return true
		}
	}
	return false
}

// crossed notes what a change of a's use means to those who may take from it.
func (e *Engine) crossed(a *account) {
	if e.tx != nil || e.quiet {
		return
	}
	is := a.borrowing()
	if is && !a.borrowed {
		a.pool.hope.prey++
	} else if is {
		a.pool.hope.greed++
	}
	a.borrowed = is
}

// ease notes that accounts from a upwards have room that they had not.
func (e *Engine) ease(a *account) {
	for ; a != nil; a = a.parent {
		if a.parent != nil {
			a.parent.awake.fix(a)
		}
		e.easeOne(a)
	}
}

func (e *Engine) easeOne(a *account) {
	if len(a.blocked) > 0 && !a.eased {
		a.eased = true
		e.eased = append(e.eased, a)
	}
}

// settle repairs the places of h's accounts after a transaction charged them.
func (e *Engine) settle(h *holding) {
	for a := h.acct(); a.parent != nil; a = a.parent {
		a.parent.awake.fix(a)
		e.crossed(a)
	}
}

// underQuota reports whether a has room in its quota, in every bounded
// resource of it.
func (a *account) underQuota() bool {
	for i, q := range a.quota {
		if q >= 0 && (q > 0 || i == 0) && a.used[i] >= q {
			return false
		}
	}
	return true
}

// standing is how full a's quota is (when under it), or what it borrows as a
// part of the pool (when not), by its dominant resource.
func (a *account) standing(used vec, under bool) int64 {
	most := int64(0)
	for i, q := range a.quota {
		switch {
		case q < 0:
		case under:
			most = max(most, share(used[i], q))
		default:
			most = max(most, share(used[i]-q, a.pool.total[i]))
		}
	}
	return most
}

// accountLess is the order in which siblings are served: those under quota
// first, by how full it is; then by priority band; then by borrowed share over
// weight. Ties go by name, strangers last.
func accountLess(a, b *account) bool { return accountCmp(a, b) < 0 }

func accountCmp(a, b *account) int {
	ua, ub := a.underQuota(), b.underQuota()
	if ua != ub {
		return sign(ua)
	}
	sa, sb := a.standing(a.used, ua), b.standing(b.used, ub)
	c := 0
	if ua {
		c = cmp.Compare(sa, sb)
	} else if c = cmp.Compare(b.priority, a.priority); c == 0 {
		if a.pool.Surplus == ByService {
			c = cmp.Compare(a.front(), b.front())
		}
		c = cmp.Or(c, ratioCmp(sa, a.weight, sb, b.weight))
	}
	if c != 0 {
		return c
	}
	return cmp.Or(boolCmp(a.name == strangers, b.name == strangers), cmp.Compare(a.name, b.name))
}

func boolCmp(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// gate returns the first account from a upwards that forbids a charge, and
// whether by its quota (for work that is not preemptible) or by its limit.
func (a *account) gate(charge vec, firm bool) (at *account, why Reason) {
	for at = a; at != nil; at = at.parent {
		used, owned := at.used, at.firm
		used.add(charge)
		owned.add(charge)
		switch {
		case firm && owned.over(at.quota, charge):
			return at, ReasonOverQuota
		case used.over(at.limit, charge):
			return at, ReasonOverLimit
		}
	}
	return nil, ""
}

// exceeded reports whether a, or an account above it, has more than it may have:
// above its limit, or firm work above its quota.
func (a *account) exceeded(firm bool) bool {
	for ; a != nil; a = a.parent {
		if a.used.over(a.limit, a.used) || firm && a.firm.over(a.quota, a.firm) {
			return true
		}
	}
	return false
}

// listing is a workload's place among the victims of one account.
type listing struct {
	w     *workload
	acct  *account
	list  *victims
	since Time
}

// addVictim lists h's workload among those that may have to give way in h's
// pool.
func (e *Engine) addVictim(h *holding) {
	if h.in&inFixed != 0 || h.in&inLater == 0 {
		return
	}
	w, a := h.w, h.acct()
	if i := slices.IndexFunc(w.listings, func(l *listing) bool { return l.acct == a }); i >= 0 {
		if l := w.listings[i]; h.pod.state == granted && h.pod.since > l.since {
			e.relist(l, h.pod.since)
		}
		return
	}
	i, ok := slices.BinarySearchFunc(a.victims, w.Priority, func(v *victims, p int32) int { return cmp.Compare(v.priority, p) })
	if !ok {
		a.victims = slices.Insert(a.victims, i, &victims{priority: w.Priority})
	}
	l := &listing{w: w, acct: a, list: a.victims[i], since: w.since(a.pool)}
	l.list.insert(l)
	w.listings = append(w.listings, l)
}

func (v *victims) insert(l *listing) {
	at, _ := slices.BinarySearchFunc(v.items, l, listingCmp)
	v.items = slices.Insert(v.items, at, l)
}

// dropVictim takes w off the lists of the pools in which it has no pods left,
// and puts it where it belongs in those where its newest left.
func (e *Engine) dropVictim(w *workload) {
	for _, l := range slices.Clone(w.listings) {
		in := func(p *pod) bool { return p.hold.node.pool == l.acct.pool }
		newest := func(p *pod) bool { return p.state == granted && p.since == l.since && in(p) }
		switch {
		case slices.ContainsFunc(w.placed, newest):
		case slices.ContainsFunc(w.placed, in):
			e.relist(l, w.since(l.acct.pool))
		default:
			e.unlist(l)
		}
	}
}

// relist moves a workload to where its newest pod puts it.
func (e *Engine) relist(l *listing, since Time) {
	if i, ok := slices.BinarySearchFunc(l.list.items, l, listingCmp); ok {
		l.list.items = slices.Delete(l.list.items, i, i+1)
	}
	l.since = since
	l.list.insert(l)
}

// unlistAll takes w off all lists.
func (e *Engine) unlistAll(w *workload) {
	for len(w.listings) > 0 {
		e.unlist(w.listings[0])
	}
}

func (e *Engine) unlist(l *listing) {
	if i, ok := slices.BinarySearchFunc(l.list.items, l, listingCmp); ok {
		l.list.items = slices.Delete(l.list.items, i, i+1)
	}
	if len(l.list.items) == 0 {
		l.acct.victims = slices.DeleteFunc(l.acct.victims, func(x *victims) bool { return x == l.list })
	}
	l.w.listings = slices.DeleteFunc(l.w.listings, func(x *listing) bool { return x == l })
}

func listingCmp(a, b *listing) int {
	if a.since != b.since {
		return cmp.Compare(a.since, b.since)
	}
	return cmp.Compare(a.w.ID, b.w.ID)
}
