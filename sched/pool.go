package sched

import "slices"

// DefaultPool is the pool of nodes and workloads that name none.
const DefaultPool = "default"

// pool is a [Pool] with its nodes and its side of the owner tree.
type pool struct {
	Pool
	index   int     // by order of appearance
	nodes   []*node // by order of appearance; gone ones stay until compacted
	count   census
	roster  roster
	scarce  scarcity
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

	changes  changes
	outlines []outline // by index in nodes
	byName   []int32   // indices in nodes, in order of their names
	outlined int       // the place in the changes up to which they are true

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
