package sched

import "slices"

// view selects which holdings count against a node.
type view int

const (
	// later counts what will hold once every pod that is leaving has left and
	// every promise is kept.
	later view = iota
	// actual counts what holds at this moment: leaving pods yes, promises no.
	actual
	// fixed counts only what nobody can take back: non-preemptible pods,
	// promises and what is not Weir's. Free in this view bounds what any
	// planning can reach.
	fixed
	// empty counts nothing: what fits a node of its own.
	empty
	// now counts a place as free only when it is so both actually and later:
	// the view in which pods are started.
	now
)

// use is what is held of a device in one view.
type use struct {
	mem, comp int64
	n         int32 // holders
}

// device is a [Device] on a node.
type device struct {
	name      string
	class     int32 // index of its (model, memory, compute) in Engine.classes
	mem, comp int64
	sick      bool
	used      [3]use // by later, actual, fixed
}

// free returns the memory and compute that d has left in v, and whether
// nobody holds a part of it.
func (d *device) free(v view) (mem, comp int64, unused bool) {
	if d.sick {
		return 0, 0, false
	}
	switch v {
	case empty:
		return d.mem, d.comp, true
	case now:
		a, b := &d.used[later], &d.used[actual]
		return d.mem - max(a.mem, b.mem), d.comp - max(a.comp, b.comp), a.n == 0 && b.n == 0
	}
	u := &d.used[v]
	return d.mem - u.mem, d.comp - u.comp, u.n == 0
}

// node is a [Node] with what is held on it.
type node struct {
	Node
	id      int32
	rank    int32 // place by name, for ties
	leafAt  int   // index in pool.nodes
	gone    bool
	pool    *pool
	devices []device
	cap     []int64    // by resource index
	used    [3][]int64 // by later, actual, fixed
	holders []*holding // takeable ones are among them; in order of arrival
	version uint64     // of the node's state; equal versions are equal states
	space   space
	host    int64 // MiB of host memory that hold the state of suspended pods
	uniform bool  // all devices are of one class
	kind    int32 // nodes of one kind differ by name and by what is held on them alone
	// healthy and held, the latter by later, actual and fixed, are numbers of
	// devices: all that is known of those of a counted node. See uncounted.
	healthy int64
	held    [3]int64
	worth   worth
	rooms   [2]*rooms // by resource, CPU and memory, of the outlook roomsOf
	roomsOf *outlook
}

// left returns how much of resource i is free in v.
func (n *node) left(i int, v view) int64 {
	if i >= len(n.cap) {
		return 0
	}
	switch v {
	case empty:
		return n.cap[i]
	case now:
		return n.cap[i] - max(n.used[later][i], n.used[actual][i])
	}
	return n.cap[i] - n.used[v][i]
}

// open reports whether n takes new grants.
func (n *node) open() bool { return !n.gone && !n.Unschedulable }

// part is a held part of a node's device.
type part struct {
	dev       int32 // index into node.devices; -1 when the node has it no more
	name      string
	mem, comp int64
	limMem    int64
	limComp   int64
}

// hold says in which views a holding counts.
type hold uint8

const (
	inLater hold = 1 << iota
	inActual
	inFixed
)

// holding is room taken on a node: by a pod (running, leaving or promised) or
// by something that is not Weir's to schedule.
type holding struct {
	node   *node
	pod    *pod
	w      *workload // nil when not Weir's
	shape  *shape    // nil when not Weir's
	parts  []part
	need   []int64 // by resource index
	charge vec
	in     hold
	// tenable is the version of its node in which, as a promise, it was found to
	// be one that can be kept.
	tenable uint64
	seat    bool     // kept for the successor of a moved pod
	told    []Share  // the devices as told or granted, by name
	fact    Occupied // what was told, when not Weir's
}

// put changes in which views h counts, and so what its node and its owners
// have left. It is the only place where that happens, and its own inverse:
// put(h, old) undoes it.
func (e *Engine) put(h *holding, in hold) {
	changed := h.in ^ in
	if changed == 0 {
		return
	}
	if e.tx != nil {
		e.tx.log = append(e.tx.log, undo{h, h.in, h.node.version})
	}
	n := h.node
	for v, bit := range [3]hold{inLater, inActual, inFixed} {
		if changed&bit == 0 {
			continue
		}
		by := int64(1)
		if in&bit == 0 {
			by = -1
		}
		for i, amount := range h.need {
			n.used[v][i] += by * amount
		}
		n.held[v] += by * int64(len(h.parts))
		for _, p := range h.parts {
			if p.dev < 0 {
				continue
			}
			u := &n.devices[p.dev].used[v]
			u.mem += by * p.mem
			u.comp += by * p.comp
			u.n += int32(by)
		}
	}
	switch {
	case h.in == 0:
		n.holders = append(n.holders, h)
	case in == 0:
		i := slices.Index(n.holders, h)
		n.holders = slices.Delete(n.holders, i, i+1)
	}
	if changed&inLater != 0 && h.w != nil {
		e.charge(h, in&inLater != 0)
		switch {
		case h.seat:
		case in&inLater != 0:
			h.w.later++
		default:
			h.w.later--
		}
	}
	freed := changed&^in&(inLater|inActual) != 0
	if changed&^in&inActual != 0 && e.tx == nil && !e.quiet {
		e.vacancies++
	}
	n.pool.leaving += b2i(in == inActual) - b2i(h.in == inActual)
	h.in = in
	e.touch(n, freed)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// touch notes that n changed, so that everything derived from it is repaired
// when it is next asked for.
func (e *Engine) touch(n *node, freed bool) {
	e.versions++
	n.version = e.versions
	n.pool.changes.note(n.leafAt, len(n.pool.nodes))
	if freed && e.tx == nil && !e.quiet {
		n.pool.hope.room++
	}
}

// tx collects changes so that they can be undone.
type tx struct{ log []undo }

type undo struct {
	h       *holding
	in      hold
	version uint64 // of its node before
}

// begin starts a transaction. They do not nest; a mark within one does.
func (e *Engine) begin() { e.tx = &e.scratch; e.tx.log = e.tx.log[:0] }

// mark returns a point to which the transaction can be taken back.
func (e *Engine) mark() int { return len(e.tx.log) }

// back undoes everything since mark.
func (e *Engine) back(mark int) {
	t := e.tx
	e.tx = nil
	quiet := e.quiet
	e.quiet = true
	for i := len(t.log) - 1; i >= mark; i-- {
		u := &t.log[i]
		e.put(u.h, u.in)
		u.h.node.version = u.version
	}
	e.quiet = quiet
	t.log = t.log[:mark]
	e.tx = t
}

// commit ends the transaction and keeps its changes.
func (e *Engine) commit() {
	log := e.tx.log
	e.tx = nil
	for _, u := range log {
		if u.in&^u.h.in != 0 {
			u.h.node.pool.hope.room++
			if u.h.w != nil && u.in&inLater != 0 {
				e.ease(u.h.acct())
			}
		}
	}
}

// rollback ends the transaction and undoes it.
func (e *Engine) rollback() {
	e.back(0)
	e.tx = nil
}

// acct returns the account that pays for h.
func (h *holding) acct() *account { return h.node.pool.accountOf(h.w) }
