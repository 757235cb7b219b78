package sched

// dense places where the least is lost of what the pods to come could use. What
// comes is told by [Expect]. The rule looks at three things:
//
//   - what the holes that a part leaves on its device are worth (holes.go);
//   - what CPU and memory a node has left for its free devices (rooms.go);
//   - whose last places are taken: slots of pods that need several devices, or
//     certain models, have a price while there are few for those expected
//     (scarce.go).
//
// Losses of less than a twentieth of a GPU count as none; ties go to the node
// that is first by name, so that nodes fill one after the other.
type dense struct{}

const (
	// step is the loss, in micro-GPUs, that makes a difference.
	step = GPU / 20
	// holesWeight is how much more a loss in holes counts than one that CPU
	// or memory would make: it is certain, the other expected.
	holesWeight = 3
)

func (dense) node(e *Engine, s *shape, n *node) int64 {
	was := e.worthOf(n)
	holes, price := e.holesAfter(s, n, was)
	left := func(resource int) int64 { return n.left(resource, now) - s.need[resource] }
	value := e.usable(was.outlook, n, holes, left(resCPU), left(resMemory))
	loss := was.value - value - price + holesWeight*(was.holes-holes-price)
	return -(max(loss, 0) + step/2) / step
}

// holesAfter returns what the holes of n are worth once a pod of s is there,
// and the least that its parts could have cost anywhere.
func (e *Engine) holesAfter(s *shape, n *node, was *worth) (holes, price int64) {
	k := int64(s.ask.Devices)
	switch {
	case k == 0:
		return was.holes, 0
	case s.whole:
		return was.holes - k*GPU, k * GPU
	case k == 1 && !n.Counted: // nearly all, so that no list of parts is made
		var none [maxDevices]bool
		d := &n.devices[e.bestDevice(s, n, now, dense{}, &none)]
		loss, least := e.holeLoss(was.outlook, s, d)
		return was.holes - loss, least
	}
	holes = was.holes
	for _, p := range e.choose(s, n, now) {
		d := &n.devices[p.dev]
		loss, least := e.holeLoss(was.outlook, s, d)
		holes -= loss
		price += least
	}
	return holes, price
}

// holeLoss is what d's hole loses in worth by a part of s, and the least that
// such a part costs.
func (e *Engine) holeLoss(o *outlook, s *shape, d *device) (loss, least int64) {
	size := e.cut(s, d.class).hole
	if size >= wholeHole {
		return GPU, GPU
	}
	h := e.holesOf(o, d.class)
	hole := d.hole()
	return h.by[hole] - h.by[max(hole-size, 0)], h.price(size)
}

func (dense) device(e *Engine, s *shape, n *node, dev int, v view) int64 {
	d := &n.devices[dev]
	loss, _ := e.holeLoss(e.outlook, s, d)
	return -loss*(wholeHole+1) - int64(d.hole()) // of equal ones the smallest hole
}

// most is the score of a place that costs nothing.
func (dense) most() int64 { return 0 }

// group keeps nodes apart by kind and by how many devices are empty: what
// decides for whom else they would do.
func (dense) group(e *Engine, n *node) int32 {
	r := n.room()
	if r.density == 0 {
		r.density = 1 + e.densityOf(n.kind, r.empty)
	}
	return r.density - 1
}

func (dense) priced(e *Engine, p *pool) bool { return e.scarcity(p).any }

func (dense) price(e *Engine, s *shape, n *node) int64 { return e.slotPrice(s, n) }
