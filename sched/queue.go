package sched

import (
	"slices"
	"strconv"
	"strings"
)

// queueKey tells apart workloads that one answer does not serve: two with the
// same key start, or wait, for the same reasons.
type queueKey struct {
	owner       string
	pools       string
	priority    int32
	preemptible bool
	swappable   bool
	turn        int // in its owner's order
	level       int // by service, where rights depend on it
	wants       string
}

// queue holds the wishes of one key in order of submission. It has an entry in
// each pool that they may use.
type queue struct {
	key     queueKey
	heap    heap[*wish]
	head    *wish // heap.top()
	entries []*entry

	// submitted and id are those of the head's workload: entries are compared
	// so often that a walk there would show.
	submitted Time
	id        string
}

// lead makes x the head.
func (q *queue) lead(x *wish) { q.head, q.submitted, q.id = x, x.w.Submitted, x.w.ID }

// entry is a queue's place in one pool: awake (in its account's heap) or
// asleep until something changes that could make its head start.
type entry struct {
	queue *queue
	acct  *account
	pool  *pool
	next  *entry // tried when this one sleeps
	first bool
	at    int // place in acct.queue; -1 when not awake

	block  block
	sleeps int // place in its dorm or in where.blocked
	demand vec // of the head, when last tried
	why    Reason
	where  *account // the account that forbids, if one does
	doubt  doubt
	round  uint64 // Engine.round when last tried
	plan   *plan  // unfinished planning

	unsearched bool // there was no effort left to search a place for its gang
}

// block is what a sleeping entry waits for.
type block uint8

const (
	blockNone     block = iota
	blockIdle           // an earlier pool of the queue is still being tried
	blockAccount        // entry.where has to ease
	blockCapacity       // room, or victims
	blockPlanning       // planning goes on in the next Decide
)

// wishLess is the order inside a queue.
func wishLess(a, b *wish) bool {
	x, y := a.w, b.w
	switch {
	case x == y:
		return a.rank < b.rank
	case x.Submitted != y.Submitted:
		return x.Submitted < y.Submitted
	}
	return x.ID < y.ID
}

// entryLess is the order inside an owner: by priority, then by its discipline,
// then submission.
func entryLess(a, b *entry) bool {
	x, y := a.queue, b.queue
	switch {
	case x.key.priority != y.key.priority:
		return x.key.priority > y.key.priority
	case x.key.turn != y.key.turn:
		return x.key.turn < y.key.turn
	case x.submitted != y.submitted:
		return x.submitted < y.submitted
	case x.id != y.id:
		return x.id < y.id
	}
	return x.head.rank < y.head.rank
}

// requeue puts w's wishes where they belong after anything about it changed.
func (e *Engine) requeue(w *workload) {
	if e.treeDirty {
		return
	}
	var wants [][]group
	if w.declared && e.owners[w.Owner] != nil {
		wants = w.wants()
	}
	if len(wants) <= 1 && len(w.wishes) <= 1 {
		e.requeueOne(w, wants)
		return
	}
	keys := make([]queueKey, len(wants))
	for i, groups := range wants {
		keys[i] = e.queueKey(w, groups)
	}
	old := w.wishes
	w.wishes = nil
	for _, x := range old {
		if !slices.Contains(keys, x.queue.key) {
			e.dequeue(x)
		}
	}
	for i, key := range keys {
		at := slices.IndexFunc(old, func(x *wish) bool { return x.queue != nil && x.queue.key == key })
		if at < 0 {
			x := &wish{w: w, groups: wants[i], rank: i}
			w.wishes = append(w.wishes, x)
			e.enqueue(x, key)
			continue
		}
		x := old[at]
		x.groups, x.rank = wants[i], i
		w.wishes = append(w.wishes, x)
		x.queue.heap.fix(x)
		e.reorder(x.queue)
	}
}

// requeueOne is requeue in the common case: one wish at most, before and after.
func (e *Engine) requeueOne(w *workload, wants [][]group) {
	if len(w.wishes) == 0 {
		if len(wants) > 0 {
			x := &wish{w: w, groups: wants[0]}
			w.wishes = append(w.wishes, x)
			e.enqueue(x, e.queueKey(w, x.groups))
		}
		return
	}
	x := w.wishes[0]
	if len(wants) == 0 {
		w.wishes = w.wishes[:0]
		e.dequeue(x)
		return
	}
	key := e.queueKey(w, wants[0])
	x.groups, x.rank = wants[0], 0
	if x.queue.key == key {
		x.queue.heap.fix(x)
		e.reorder(x.queue)
		return
	}
	e.dequeue(x)
	e.enqueue(x, key)
}

// enqueue puts x into the queue of that key.
func (e *Engine) enqueue(x *wish, key queueKey) {
	q := e.queues[key]
	if q == nil {
		q = e.newQueue(key, x.w)
		e.queues[key] = q
	}
	x.queue = q
	q.heap.push(x)
	if q.heap.len() > 1 {
		e.reorder(q)
		return
	}
	q.lead(x)
	for _, en := range q.entries {
		e.rest(en)
		en.plan, en.doubt = nil, doubt{}
	}
	e.wakeEntry(q.entries[0])
}

// reorder repairs the places of a queue's entries after its head changed.
func (e *Engine) reorder(q *queue) {
	q.lead(q.heap.top())
	for _, en := range q.entries {
		en.acct.queue.fix(en)
		en.acct.reface()
	}
}

func (e *Engine) newQueue(key queueKey, w *workload) *queue {
	q := &queue{key: key}
	q.heap = heap[*wish]{less: wishLess, at: func(x *wish) *int { return &x.at }}
	for _, name := range e.poolsOf(w) {
		p := e.pool(name)
		en := &entry{queue: q, acct: p.accountOf(w), pool: p, at: -1, first: len(q.entries) == 0, block: blockIdle}
		if len(q.entries) > 0 {
			q.entries[len(q.entries)-1].next = en
		}
		q.entries = append(q.entries, en)
	}
	return q
}

// dequeue takes x out of its queue.
func (e *Engine) dequeue(x *wish) {
	q := x.queue
	x.queue = nil
	head := q.heap.top() == x
	if q.heap.len() == 1 {
		for _, en := range q.entries {
			e.rest(en)
		}
		q.heap.remove(x)
		delete(e.queues, q.key)
		return
	}
	q.heap.remove(x)
	if head {
		for _, en := range q.entries {
			en.plan = nil
		}
		e.reorder(q)
	}
}

func (e *Engine) queueKey(w *workload, groups []group) queueKey {
	pools := e.poolsOf(w)
	key := queueKey{
		owner: w.Owner, pools: strings.Join(pools, ","), priority: w.Priority,
		preemptible: w.Preemptible, swappable: w.Swappable, turn: e.turn(w),
	}
	if e.yieldsWithin(w) || slices.ContainsFunc(pools, func(name string) bool { return e.pool(name).Surplus == ByService }) {
		key.level = w.level
	}
	if len(groups) == 1 && len(groups[0].pods) == 1 {
		key.wants = groups[0].shape.single
		return key
	}
	var wants strings.Builder
	for _, g := range groups {
		wants.WriteString(strconv.Itoa(g.shape.id))
		wants.WriteByte('x')
		wants.WriteString(strconv.Itoa(len(g.pods)))
		wants.WriteByte(' ')
	}
	key.wants = wants.String()
	return key
}

// poolsOf returns the pools that w may use, in order of preference.
func (e *Engine) poolsOf(w *workload) []string {
	if w.Min > 1 && len(w.placed) > 0 { // a gang stays together
		return []string{w.placed[0].hold.node.pool.Name}
	}
	if len(w.Pools) > 0 {
		return w.Pools
	}
	if o := e.owners[w.Owner]; o != nil {
		return o.order
	}
	return defaultOrder
}

// owner is an [Owner] with what follows from it.
type owner struct {
	Owner
	order []string // see orderOf
}

var defaultOrder = []string{DefaultPool}

// orderOf returns the pools that work of o uses unless it says otherwise.
func orderOf(o Owner) []string {
	switch {
	case len(o.PoolOrder) > 0:
		return o.PoolOrder
	case len(o.Pools) > 0:
		return sortedKeys(o.Pools)
	}
	return defaultOrder
}

// wakeEntry lets en be tried, unless an earlier pool of its queue comes first.
func (e *Engine) wakeEntry(en *entry) {
	if en.at >= 0 || en.queue.heap.len() == 0 {
		return
	}
	e.rest(en)
	for _, other := range en.queue.entries {
		if other == en {
			break
		}
		if other.at >= 0 {
			return // woken again when that one sleeps
		}
	}
	for x := en.next; x != nil; x = x.next {
		if x.at >= 0 { // was woken first, but comes after this one
			e.rest(x)
		}
	}
	en.block = blockNone
	a := en.acct
	a.queue.push(en)
	for ; a.parent != nil; a = a.parent {
		if a.at < 0 {
			a.parent.awake.push(a)
		}
	}
	en.acct.reface()
}

// rest takes en out of wherever it is: awake or asleep.
func (e *Engine) rest(en *entry) {
	if en.at >= 0 {
		en.acct.queue.remove(en)
		for a := en.acct; a.parent != nil && a.queue.len() == 0 && a.awake.len() == 0; a = a.parent {
			a.parent.awake.remove(a)
		}
		en.acct.reface()
	}
	switch en.block {
	case blockAccount:
		en.where.blocked = without(en.where.blocked, en)
	case blockCapacity, blockPlanning:
		en.pool.discharge(en)
	}
	en.block = blockIdle
}

// sleep puts en to rest until what blocks it may have changed, and lets the
// queue's next pool be tried.
func (e *Engine) sleep(en *entry, b block, why Reason, where *account) {
	e.rest(en)
	en.block, en.why, en.where, en.round = b, why, nil, e.round
	if b == blockAccount {
		en.blockOn(where, why)
	} else {
		en.pool.admit(en)
	}
	if en.next != nil {
		e.wakeEntry(en.next)
	}
}

// next walks down the owner tree to the entry to try.
func (p *pool) next() *entry {
	a := p.root
	for a.awake.len() > 0 {
		a = a.awake.top()
	}
	if a.queue.len() == 0 {
		return nil
	}
	return a.queue.top()
}
