package sched

import (
	"cmp"
	"math/bits"
	"slices"
)

// rooms is how much of the free parts of a node can be expected to be used,
// given what is left of one other resource. Pods of the mix come at random,
// each takes its price in parts and its need of the resource, until nothing
// fits any more:
//
//	at(g, r) = sum of w(s) × (price(s) + at(g - price(s), r - need(s))) / sum of w(s)
//
// over the shapes s that fit in g and r. It is exact for the rounded amounts in
// which it counts, and worked out for those amounts only that are asked for.
//
// Pods without devices take of the resource alone. They come with a quarter of
// their weight: where they would do harm, other nodes have them first.
type rooms struct {
	unit  int64 // of the other resource
	takes []take
	rows  [][]int64 // by parts, then resource; -1 not known
	cols  int64
}

// take is what the pods of a shape take.
type take struct {
	weight int64
	parts  int64 // in partsPerGPU
	need   int64 // in units
}

type roomsKey struct {
	class    int32
	resource int
	unit     int64
}

const (
	// partsPerGPU is the precision of parts: prices are simple fractions.
	partsPerGPU = 60
	// mostUnits is the precision of the other resource.
	mostUnits = 1024
)

// roomsOf returns the rooms of nodes like n for a resource. Nodes count as of
// the class of their first device.
func (e *Engine) roomsOf(o *outlook, n *node, resource int) *rooms {
	if n.rooms[resource] != nil && n.roomsOf == o {
		return n.rooms[resource]
	}
	capacity := max(n.cap[resource], 1)
	key := roomsKey{class: n.devices[0].class, resource: resource, unit: 1}
	if k := bits.Len64(uint64((capacity - 1) / mostUnits)); k > 0 {
		key.unit = 1 << k
	}
	if o.rooms[key] == nil {
		o.rooms[key] = e.newRooms(o, key)
	}
	if n.roomsOf != o {
		n.roomsOf, n.rooms = o, [2]*rooms{}
	}
	n.rooms[resource] = o.rooms[key]
	return n.rooms[resource]
}

func (e *Engine) newRooms(o *outlook, key roomsKey) *rooms {
	r := &rooms{unit: key.unit, cols: mostUnits + 1}
	r.rows = [][]int64{make([]int64, r.cols)} // no parts are worth nothing
	worth := e.holesOf(o, key.class)
	for i, s := range o.mix.shapes {
		x := take{weight: 4 * o.mix.weights[i]}
		if key.resource < len(s.need) {
			x.need = mulDiv(s.need[key.resource], 1, key.unit, true)
		}
		if s.ask.Devices == 0 {
			if x.weight /= 4; x.need == 0 {
				continue
			}
		} else {
			c := e.cut(s, key.class)
			if !c.ok {
				continue
			}
			price := GPU
			if !s.whole && c.hole < wholeHole {
				price = worth.price(c.hole)
			}
			x.parts = toParts(price) * int64(s.ask.Devices)
			if x.parts == 0 {
				continue
			}
		}
		if x.need <= mostUnits {
			r.takes = append(r.takes, x)
		}
	}
	r.merge()
	return r
}

// merge makes one of takes that differ by weight only, and sorts them, so that
// those that do not fit come last.
func (r *rooms) merge() {
	slices.SortFunc(r.takes, func(a, b take) int {
		return cmp.Or(cmp.Compare(a.parts, b.parts), cmp.Compare(a.need, b.need))
	})
	out := r.takes[:0]
	for _, x := range r.takes {
		if last := len(out) - 1; last >= 0 && out[last].parts == x.parts && out[last].need == x.need {
			out[last].weight += x.weight
		} else {
			out = append(out, x)
		}
	}
	r.takes = out
}

func toParts(micro int64) int64 { return (micro*partsPerGPU + GPU/2) / GPU }

// at returns what of micro-GPUs can be used with so much left, in micro-GPUs.
func (r *rooms) at(micro, left int64) int64 {
	if left < 0 {
		return 0
	}
	return r.look(toParts(micro), min(left/r.unit, r.cols-1)) / partsPerGPU
}

// look is at in its own units; the result is in millionths of a part, so that
// whole GPUs come out whole.
func (r *rooms) look(parts, left int64) int64 {
	if parts <= 0 {
		return 0
	}
	for int64(len(r.rows)) <= parts {
		r.rows = append(r.rows, nil)
	}
	if r.rows[parts] == nil {
		row := make([]int64, r.cols)
		for i := range row {
			row[i] = -1
		}
		r.rows[parts] = row
	}
	if known := r.rows[parts][left]; known >= 0 {
		return known
	}
	var sum, weights int64
	for _, x := range r.takes {
		if x.parts > parts {
			break
		}
		if x.need > left {
			continue
		}
		rest := int64(-1)
		if row := r.rows[parts-x.parts]; row != nil {
			rest = row[left-x.need] // most are known: this is the inmost loop
		}
		if rest < 0 {
			rest = r.look(parts-x.parts, left-x.need)
		}
		weights += x.weight
		sum += x.weight * (x.parts*GPU + rest)
	}
	value := int64(0)
	if weights > 0 {
		value = sum / weights
	}
	r.rows[parts][left] = value
	return value
}
