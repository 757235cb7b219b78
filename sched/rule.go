package sched

// rule is how a pool places pods: which node, and which devices on it. Rules
// see a node's state only, so that a score holds until the node changes.
// Higher is better; ties go to the node that is first by name and to the
// device that is first on it.
type rule interface {
	// node scores n for a pod of s that fits there in view now.
	node(e *Engine, s *shape, n *node) int64
	// device scores a device for one part of s that fits there in v.
	device(e *Engine, s *shape, n *node, dev int, v view) int64
}

// pricing is a rule whose choice also depends on what a place would take from
// others in the pool. Nodes are kept in groups; the best of each group by score
// is charged a price, and the best after that is chosen.
type pricing interface {
	rule
	// group tells nodes apart that may have different prices; from 0.
	group(e *Engine, n *node) int32
	// priced reports whether any place of p has a price at the moment.
	priced(e *Engine, p *pool) bool
	// price is what a pod of s on n costs, in the unit of scores.
	price(e *Engine, s *shape, n *node) int64
}

// lazy is a rule whose scores cost so much that they are worked out only for
// nodes that could be the best, as the most that any can have is known.
type lazy interface {
	rule
	most() int64
}

// The names of the placement rules.
const (
	Pack   = "pack"
	Spread = "spread"
	FGD    = "fgd"
	Dense  = "dense"
)

// The placement rules of published work, to compare with.
const (
	BestFit = "bestfit"
	DotProd = "dotprod"
	Random  = "random"
)

// Rules lists the placement rules that a [Pool] may name.
var Rules = []string{Pack, Spread, FGD, Dense, BestFit, DotProd, Random}

func (e *Engine) rule(p *pool, s *shape) rule {
	if s.ask.Devices == 0 && !published(p.GPUPlacement) {
		if p.CPUPlacement == Spread {
			return cpuRule{spread: true}
		}
		return cpuRule{}
	}
	return gpuRule(p.GPUPlacement)
}

// gpuRule is the rule of that name for pods with devices.
func gpuRule(name string) rule {
	switch name {
	case Spread:
		return spread{}
	case FGD:
		return fgd{}
	case Dense:
		return dense{}
	case BestFit:
		return bestFit{}
	case DotProd:
		return dotProd{}
	case Random:
		return random{}
	default:
		return pack{}
	}
}

// wholeWeight is what an empty device weighs against free milli on used ones.
const wholeWeight = 1 << 20

// space is what a node's devices have free in view now, worked out once for
// each state of the node and shared by all shapes.
type space struct {
	version      uint64
	milli, empty int64 // free compute on used devices; number of empty ones
	density      int32 // 1 + the node's group for the dense rule; 0 not known
}

// room returns a node's space.
func (n *node) room() *space {
	r := &n.space
	if r.version == n.version && n.version != 0 {
		return r
	}
	*r = space{version: n.version}
	if n.Counted {
		r.empty = n.uncounted(now)
		return r
	}
	for i := range n.devices {
		_, comp, whole := n.devices[i].free(now)
		if whole {
			r.empty++
		} else {
			r.milli += max(comp, 0)
		}
	}
	return r
}

// pack fills nodes that are used most, and devices that are used most: parts
// go where the least is left over, whole devices where the fewest are empty.
type pack struct{}

func (pack) node(e *Engine, s *shape, n *node) int64 {
	r := n.room()
	if s.whole {
		return -(r.empty*wholeWeight + r.milli)
	}
	best := noScore
	for i := range n.devices {
		if e.partsOn(s, &n.devices[i], now) > 0 {
			best = max(best, pack{}.device(e, s, n, i, now))
		}
	}
	return best*256 - min(r.empty, 255)
}

func (pack) device(e *Engine, s *shape, n *node, dev int, v view) int64 {
	d := &n.devices[dev]
	mem, comp, empty := d.free(v)
	c := e.cut(s, d.class)
	left := leftover(d, mem-c.mem, comp-c.comp)
	if empty { // breaking a whole device is the last resort
		left += 2 * wholeWeight
	}
	return -left
}

// leftover is the larger of what stays free of a device, in parts of
// wholeWeight: a device is as useful as its scarcer half, yet memory that
// nobody can compute on is still memory lost.
func leftover(d *device, mem, comp int64) int64 {
	left := share(comp, d.comp)
	if d.mem > 0 {
		left = max(left, share(mem, d.mem))
	}
	return left / (perTrillion / wholeWeight)
}

// spread is the opposite: empty devices and empty nodes first.
type spread struct{}

func (spread) node(e *Engine, s *shape, n *node) int64 {
	r := n.room()
	return r.empty*wholeWeight + r.milli
}

func (spread) device(e *Engine, s *shape, n *node, dev int, v view) int64 {
	return -pack{}.device(e, s, n, dev, v)
}

// cpuRule places pods without devices: away from devices first, then where
// the least (or, spreading, the most) CPU is left.
type cpuRule struct{ spread bool }

func (r cpuRule) node(e *Engine, s *shape, n *node) int64 {
	left := share(n.left(resCPU, now), max(n.cap[resCPU], 1)) / 1000
	if !r.spread {
		left = -left
	}
	return left - int64(len(n.devices))*perTrillion/100
}

func (cpuRule) device(*Engine, *shape, *node, int, view) int64 { return 0 }
