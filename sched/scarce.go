package sched

import (
	"math"
	"slices"
)

// scarcity is which of the expected pods are running short of places in a
// pool: those that need several whole devices or certain models, for which not
// any free device will do. A slot is a place for one such pod.
type scarcity struct {
	outlook *outlook
	classes []int32 // of devices in the pool: what pods are worth goes by them
	read    int
	rare    []rare
	free    []int64 // compute by leaf, in milli
	total   int64
	mean    float64 // compute of an expected pod, in milli
	any     bool    // some slot has a price
}

// rare is a shape that not any free device will do for.
type rare struct {
	shape *shape
	part  float64 // of all expected pods
	worth int64   // of a pod, in milli of compute
	slots []int32 // by leaf
	sum   int64
	price int64 // of a slot, in quarters of its worth
}

const (
	// mostRare bounds the shapes that are watched, the most common first.
	mostRare = 48
	// spareSlots is how many standard deviations of what is expected there
	// have to be slots to spare for, so that they have no price.
	spareSlots = 10
	priceSteps = 4
)

// scarcity returns the repaired scarcity of p.
func (e *Engine) scarcity(p *pool) *scarcity {
	x := &p.scarce
	o := e.outlook
	switch {
	case x.outlook != o || !slices.Equal(x.classes, p.classes) || p.lostTrack(x.read, len(x.free)):
		*x = scarcity{outlook: o, classes: slices.Clone(p.classes), free: make([]int64, len(p.nodes))}
		e.findRare(x, p)
		for leaf := range p.nodes {
			e.recountSlots(x, p.nodes[leaf])
		}
	case x.read == p.changes.end():
		return x
	default:
		for leaf := range p.changes.since(x.read) {
			e.recountSlots(x, p.nodes[leaf])
		}
	}
	x.read = p.changes.end()
	x.reprice()
	return x
}

func (e *Engine) findRare(x *scarcity, p *pool) {
	m := x.outlook.mix
	for i, s := range m.shapes {
		part := float64(m.weights[i]) / float64(m.sum)
		worth := int64(0)
		for _, class := range p.classes {
			if c := e.cut(s, class); c.ok {
				worth = max(worth, c.comp*int64(s.ask.Devices))
			}
		}
		x.mean += float64(part * float64(worth))
		several := s.whole && s.ask.Devices > 1
		if worth > 0 && (several || len(s.ask.Models) > 0) && len(x.rare) < mostRare {
			x.rare = append(x.rare, rare{shape: s, part: part, worth: worth, slots: make([]int32, len(p.nodes))})
		}
	}
}

func (e *Engine) recountSlots(x *scarcity, n *node) {
	free := int64(0)
	if n.open() {
		free = n.freeCompute()
	}
	x.total += free - x.free[n.leafAt]
	x.free[n.leafAt] = free
	outline := &e.outlines(n.pool)[n.leafAt]
	for i := range x.rare {
		r, slots := &x.rare[i], int32(0)
		if !e.hopeless(r.shape, outline) {
			slots = int32(e.slots(r.shape, n, now, math.MaxInt32))
		}
		r.sum += int64(slots - r.slots[n.leafAt])
		r.slots[n.leafAt] = slots
	}
}

// reprice works out prices: what is free will take so many pods, so many of
// them of a rare shape; as few slots as those are dear, more become cheaper.
func (x *scarcity) reprice() {
	x.any = false
	for i := range x.rare {
		r := &x.rare[i]
		due := float64(r.part * float64(x.total) / x.mean)
		spare := (float64(r.sum) - due) / (math.Sqrt(due) + 1)
		price := min(max(1-spare/spareSlots, 0), 1)
		if due < 0.5 {
			price *= 2 * due
		}
		r.price = int64(math.Round(price * priceSteps))
		x.any = x.any || r.price > 0
	}
}

// slotPrice is what the slots are worth that a pod of s on n would take from
// others, in the steps of dense: a quarter of their price, as who needs them
// may yet find others.
func (e *Engine) slotPrice(s *shape, n *node) int64 {
	x := e.scarcity(n.pool)
	if !slices.ContainsFunc(x.rare, func(r rare) bool { return r.price > 0 && r.slots[n.leafAt] > 0 }) {
		return 0
	}
	lost := int64(0)
	n.with(s, e.choose(s, n, now), func() {
		for i := range x.rare {
			r := &x.rare[i]
			if was := int64(r.slots[n.leafAt]); r.price > 0 && was > 0 {
				lost += r.price * r.worth * (was - e.slots(r.shape, n, now, was))
			}
		}
	})
	return lost * (GPU / WholeCompute) / (4 * priceSteps * step)
}

// density is a group of nodes for the dense rule.
type density struct {
	kind  int32
	empty int64
}

// densityOf numbers the groups.
func (e *Engine) densityOf(kind int32, empty int64) int32 {
	key := density{kind, empty}
	at, ok := e.densities[key]
	if !ok {
		at = int32(len(e.densities))
		e.densities[key] = at
	}
	return at
}
