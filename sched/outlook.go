package sched

import (
	"math"
	"slices"
)

// outlook is what the dense rule expects of the pods to come. Without any mix
// it expects none: holes are worth nothing then, and nothing is scarce.
type outlook struct {
	mix   *mix
	holes []*holes            // by device class
	alike map[string]*holes   // by the items they come from
	rooms map[roomsKey]*rooms // what nodes are worth
}

func newOutlook(m *mix) *outlook {
	return &outlook{mix: m, alike: map[string]*holes{}, rooms: map[roomsKey]*rooms{}}
}

// holesOf returns what parts of devices of a class are worth.
func (e *Engine) holesOf(o *outlook, class int32) *holes {
	for int(class) >= len(o.holes) {
		o.holes = append(o.holes, nil)
	}
	if h := o.holes[class]; h != nil {
		return h
	}
	var items []item
	for i, s := range o.mix.shapes {
		c := e.cut(s, class)
		if s.whole || s.ask.Devices == 0 || !c.ok {
			continue
		}
		if c.hole >= wholeHole {
			continue
		}
		weight := float64(o.mix.weights[i] * int64(s.ask.Devices))
		if at := slices.IndexFunc(items, func(x item) bool { return x.size == c.hole }); at >= 0 {
			items[at].weight += weight
		} else {
			items = append(items, item{c.hole, weight})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return b.size - a.size })
	key := itemsKey(items)
	if o.alike[key] == nil {
		o.alike[key] = worthOf(items)
	}
	o.holes[class] = o.alike[key]
	return o.holes[class]
}

func itemsKey(items []item) string {
	var key []byte
	for _, x := range items {
		w := math.Float64bits(x.weight)
		for i := range 8 {
			key = append(key, byte(w>>(8*i)))
		}
		key = append(key, byte(x.size), byte(x.size>>8))
	}
	return string(key)
}

// size is how much of a device c takes, in thousandths: of its scarcer half.
func (c *cut) size(d deviceClass) int {
	size := mulDiv(c.comp, wholeHole, d.comp, true)
	if d.mem > 0 {
		size = max(size, mulDiv(c.mem, wholeHole, d.mem, true))
	}
	return int(max(size, 1))
}

// hole is how much of d is free now, in thousandths: of its scarcer half.
func (d *device) hole() int {
	mem, comp, unused := d.free(now)
	if unused {
		return wholeHole
	}
	if d.sick || mem <= 0 && d.mem > 0 || comp <= 0 {
		return 0
	}
	free := mulDiv(comp, wholeHole, d.comp, false)
	if d.mem > 0 {
		free = min(free, mulDiv(mem, wholeHole, d.mem, false))
	}
	return int(min(free, wholeHole-1)) // somebody holds a part, be it none
}

// worth is what a node's free room is worth in view now.
type worth struct {
	version uint64
	outlook *outlook
	holes   int64 // of its devices, in micro-GPUs
	value   int64 // the part of that which its CPU and memory let be used
}

// worthOf returns the worth of n.
func (e *Engine) worthOf(n *node) *worth {
	o := e.outlook
	w := &n.worth
	if w.version == n.version && w.outlook == o && n.version != 0 {
		return w
	}
	*w = worth{version: n.version, outlook: o}
	if n.Counted {
		w.holes = n.uncounted(now) * GPU
	} else {
		for i := range n.devices {
			d := &n.devices[i]
			if h := d.hole(); h == wholeHole {
				w.holes += GPU
			} else if h > 0 {
				w.holes += e.holesOf(o, d.class).by[h]
			}
		}
	}
	w.value = e.usable(o, n, w.holes, n.left(resCPU, now), n.left(resMemory, now))
	return w
}

// usable is how much of holes pods that come at random can use on a node like n
// with so much CPU and memory left.
func (e *Engine) usable(o *outlook, n *node, holes, cpu, memory int64) int64 {
	if len(n.devices) == 0 || holes <= 0 {
		return 0
	}
	return min(e.roomsOf(o, n, resCPU).at(holes, cpu), e.roomsOf(o, n, resMemory).at(holes, memory))
}
