package sched

import (
	"cmp"
	"slices"
)

// DefaultPool is the pool of nodes and workloads that name none.
const DefaultPool = "default"

// pool is a [Pool] with its nodes and its side of the owner tree.
type pool struct {
	Pool
	index   int     // by order of appearance
	nodes   []*node // by order of appearance; gone ones stay until compacted
	count   census
	classes []int32 // device classes of its nodes, in order of index
	shared  []int32 // those of them that are on nodes which grant parts
	total   vec     // capacity of its nodes, cordoned ones included

	root     *account
	accounts map[string]*account
	leaves   []*account // those to which workloads belong, by name
	// dorms are the entries that wait for capacity; see sleep.go.
	dorms      []*dorm
	dormIndex  map[string]int
	leaving    int    // places of pods that are being stopped
	planning   int    // sleepers whose planning goes on
	crowded    bool   // sleepers were left behind though there is room
	unreviewed bool   // changes were not yet held against all sleepers
	cursor     int    // the dormitory at which the review goes on
	reviews    uint64 // how many reviews began

	// log is the list of nodes that changed, oldest first; trees read it from
	// where they stopped. logBase is the place of log[0].
	log     []int32
	logBase int

	hope  hope
	seen  hope // when sleepers were last looked at
	stale bool // totals, and with them the order of accounts, are out of date
}

// refresh recomputes what depends on the pool's nodes as a whole.
func (e *Engine) refresh(p *pool) {
	p.stale = false
	p.total, p.classes, p.shared = vec{}, p.classes[:0], p.shared[:0]
	for _, n := range p.nodes {
		if n.gone {
			continue
		}
		p.total.add(vec{int64(len(n.devices)) * GPU, n.cap[resCPU], n.cap[resMemory]})
		for i := range n.devices {
			p.classes = insert(p.classes, n.devices[i].class)
			if !n.Counted {
				p.shared = insert(p.shared, n.devices[i].class)
			}
		}
	}
	p.reheap()
	for _, name := range sortedKeys(p.accounts) {
		e.easeOne(p.accounts[name])
	}
	e.easeOne(p.root)
}

// insert adds x to a sorted list that has each once.
func insert(list []int32, x int32) []int32 {
	if at, ok := slices.BinarySearch(list, x); !ok {
		list = slices.Insert(list, at, x)
	}
	return list
}

// reheap restores the order of all accounts after more than one changed.
func (p *pool) reheap() {
	for _, a := range p.accounts {
		a.awake.init()
	}
	p.root.awake.init()
}

// trim keeps the log short: it is never useful to replay more changes than
// there are nodes, so readers that are further behind start afresh.
func (p *pool) trim() {
	if limit := 4*len(p.nodes) + 64; len(p.log) > limit {
		drop := len(p.log) - limit/2
		p.logBase += drop
		p.log = append(p.log[:0], p.log[drop:]...)
	}
}

// tree ranks the nodes of a pool for one shape: a tournament over the nodes'
// scores, and the sum of the pods that fit. It is repaired lazily from the
// pool's change log.
type tree struct {
	shape *shape
	pool  *pool
	read  int     // place in the log up to which scores and slots are true
	size  int     // leaves, a power of two
	win   []int32 // win[1] is the index in pool.nodes of the best; -1 none
	score []int64 // by leaf; unfit is noScore
	slots []int64 // by leaf, in view now
	sum   int64

	bound bounds

	// moveFails, moveHope and nextMove pace consolidation; see moveDue.
	moveFails int
	moveHope  hope
	nextMove  Time
}

// bounds are a tree's sums in the views that planning reasons with.
type bounds struct {
	read         int
	later, fixed []int64
	sumLater     int64
	sumFixed     int64
}

const (
	noScore   = int64(-1 << 63)
	manySlots = int64(1 << 20)
)

// tree returns the repaired tree of s in p.
func (e *Engine) tree(s *shape, p *pool) *tree {
	t := s.treeIn(p)
	e.repair(t)
	return t
}

// treeIn returns the tree of s in p as it is, making it when it is new.
func (s *shape) treeIn(p *pool) *tree {
	for p.index >= len(s.trees) {
		s.trees = append(s.trees, nil)
	}
	t := s.trees[p.index]
	if t == nil {
		t = &tree{shape: s, pool: p, read: -1}
		t.bound.read = -1
		s.trees[p.index] = t
	}
	return t
}

func (e *Engine) repair(t *tree) {
	p := t.pool
	end := p.logBase + len(p.log)
	if t.read == end && len(t.score) == len(p.nodes) {
		return
	}
	if t.read < p.logBase || end-t.read > len(p.nodes)/2+8 || len(t.score) != len(p.nodes) {
		e.build(t)
		t.read = end
		return
	}
	for i := t.read; i < end; i++ {
		n := e.nodes[p.log[i-p.logBase]]
		if n.lastLog != i || n.pool != p { // repaired at its last change
			continue
		}
		if e.rescore(t, n.leafAt) {
			t.climb(n.leafAt)
		}
	}
	t.read = end
}

func (e *Engine) build(t *tree) {
	n := len(t.pool.nodes)
	t.size = 1
	for t.size < n {
		t.size *= 2
	}
	t.score = slices.Grow(t.score[:0], n)[:n]
	t.slots = slices.Grow(t.slots[:0], n)[:n]
	clear(t.slots)
	t.win = slices.Grow(t.win[:0], 2*t.size)[:2*t.size]
	t.sum = 0
	bare := map[int32]int{} // the first leaf of a kind with nothing on it answers for the rest
	for i := range t.size {
		t.win[t.size+i] = -1
		if i < n {
			e.scoreAfresh(t, i, bare)
			if t.score[i] != noScore {
				t.win[t.size+i] = int32(i)
			}
		}
	}
	for i := t.size - 1; i > 0; i-- {
		t.win[i] = t.better(t.win[2*i], t.win[2*i+1])
	}
}

// scoreAfresh is rescore for a tree in the making: bare nodes of one kind offer
// the same.
func (e *Engine) scoreAfresh(t *tree, leaf int, bare map[int32]int) {
	n := t.pool.nodes[leaf]
	if len(n.holders) > 0 || n.gone || t.shape.ask.Fit != "" {
		e.rescore(t, leaf)
		return
	}
	like, ok := bare[n.kind]
	if !ok {
		bare[n.kind] = leaf
		e.rescore(t, leaf)
		return
	}
	t.slots[leaf], t.score[leaf] = t.slots[like], t.score[like]
	t.sum += t.slots[leaf]
}

// rescore works out what the node at a leaf offers now, and reports whether its
// score changed.
func (e *Engine) rescore(t *tree, leaf int) bool {
	n := t.pool.nodes[leaf]
	score := noScore
	fit := e.slots(t.shape, n, now, manySlots)
	if fit > 0 && (t.shape.moving || e.fits(t.shape, n, nil)) {
		score = e.rule(t.pool, t.shape).node(e, t.shape, n)
	} else {
		fit = 0
	}
	changed := score != t.score[leaf]
	t.sum += fit - t.slots[leaf]
	t.slots[leaf], t.score[leaf] = fit, score
	return changed
}

// climb repairs the path from a leaf whose score changed to the root. Above a
// match that another leaf won before and wins again, nothing is different.
func (t *tree) climb(leaf int) {
	i := t.size + leaf
	t.win[i] = -1
	if t.score[leaf] != noScore {
		t.win[i] = int32(leaf)
	}
	for i /= 2; i > 0; i /= 2 {
		winner := t.better(t.win[2*i], t.win[2*i+1])
		if winner == t.win[i] && winner != int32(leaf) {
			return
		}
		t.win[i] = winner
	}
}

func (t *tree) better(a, b int32) int32 {
	switch {
	case a < 0:
		return b
	case b < 0:
		return a
	case t.score[a] != t.score[b]:
		if t.score[a] > t.score[b] {
			return a
		}
		return b
	case t.pool.nodes[a].rank < t.pool.nodes[b].rank:
		return a
	}
	return b
}

// best returns the best node for one pod, or nil. For shapes whose fitness
// depends on other pods it tries nodes from the best down.
func (e *Engine) best(t *tree, others []Placement) *node {
	if t.win[1] < 0 {
		return nil
	}
	if !t.shape.moving {
		return t.pool.nodes[t.win[1]]
	}
	var order []int32
	for i, s := range t.score {
		if s != noScore {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.score[b], t.score[a]), cmp.Compare(t.pool.nodes[a].rank, t.pool.nodes[b].rank))
	})
	for _, i := range order {
		if n := t.pool.nodes[i]; e.fits(t.shape, n, others) {
			return n
		}
	}
	return nil
}

// bounds returns the tree's planning bounds, repaired.
func (e *Engine) bounds(t *tree) *bounds {
	b, p := &t.bound, t.pool
	end := p.logBase + len(p.log)
	set := func(leaf int) {
		n := p.nodes[leaf]
		b.sumLater -= b.later[leaf]
		b.sumFixed -= b.fixed[leaf]
		b.later[leaf], b.fixed[leaf] = 0, 0
		if fit := e.slots(t.shape, n, fixed, manySlots); fit > 0 && (t.shape.moving || e.fits(t.shape, n, nil)) {
			b.fixed[leaf] = fit
			b.later[leaf] = e.slots(t.shape, n, later, manySlots)
		}
		b.sumLater += b.later[leaf]
		b.sumFixed += b.fixed[leaf]
	}
	if b.read < p.logBase || end-b.read > len(p.nodes)/2+8 || len(b.later) != len(p.nodes) {
		b.later, b.fixed = make([]int64, len(p.nodes)), make([]int64, len(p.nodes))
		b.sumLater, b.sumFixed = 0, 0
		for leaf := range p.nodes {
			set(leaf)
		}
		b.read = end
		return b
	}
	for i := b.read; i < end; i++ {
		if n := e.nodes[p.log[i-p.logBase]]; n.lastLog == i && n.pool == p {
			set(n.leafAt)
		}
	}
	b.read = end
	return b
}
