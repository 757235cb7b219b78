package sched

import (
	"slices"
	"strconv"
)

// deviceClass is what devices of one kind have in common.
type deviceClass struct {
	model     string
	mem, comp int64
}

// cut is what a shape takes of one device of a class.
type cut struct {
	known, ok       bool
	mem, comp       int64
	limMem, limComp int64
	charge          int64 // micro-GPUs
	hole            int   // the hole that it takes; see size
}

// shape is an interned [Ask]: pods of one shape are interchangeable, and one
// answer serves them all.
type shape struct {
	id     int
	key    string
	single string // how a queue names the wish for one pod of it
	ask    Ask
	need   []int64 // by resource index
	whole  bool
	most   int64 // devices that it would be charged more of, each, are left out; see narrowed
	moving bool
	cuts   []cut   // by device class
	known  int     // pods of this shape that exist
	trees  []*tree // by pool.index
}

// intern returns the shape of an ask that is charged at most so much a device;
// 0 for any charge.
func (e *Engine) intern(a Ask, most int64) *shape {
	e.key = appendAsk(e.key[:0], a, most)
	if s := e.shapes[string(e.key)]; s != nil {
		return s
	}
	key := string(e.key)
	a.Models = slices.Sorted(slices.Values(a.Models))
	a.Resources = a.Clone()
	s := &shape{
		id: len(e.shapeList), key: key, ask: a, need: e.needs(a.Resources),
		whole: a.Part.IsWhole(), most: most,
	}
	if a.Fit != "" && e.cfg.Fitness != nil {
		s.moving = e.cfg.Fitness.Moving(a.Fit)
	}
	s.single = strconv.Itoa(s.id) + "x1 "
	e.shapes[key] = s
	e.shapeList = append(e.shapeList, s)
	return s
}

// appendAsk adds the key of a shape to a buffer.
func appendAsk(b []byte, a Ask, most int64) []byte {
	num := func(x int64) { b = append(strconv.AppendInt(b, x, 36), ' ') }
	p := a.Part
	for _, x := range [...]int64{
		int64(a.Devices), p.Fraction, p.MemoryMiB, p.ComputeMilli, p.LimitFraction, p.LimitMemoryMiB,
		p.LimitComputeMilli, a.CPU, a.Memory, a.Pods, most,
	} {
		num(x)
	}
	for _, name := range a.names() {
		b = append(append(b, name...), '=')
		num(a.Other[name])
	}
	models := a.Models
	if !slices.IsSorted(models) {
		models = slices.Sorted(slices.Values(models))
	}
	for _, m := range models {
		b = strconv.AppendQuote(b, m)
	}
	return append(append(b, '|'), a.Fit...)
}

// The first resource indices.
const (
	resCPU = iota
	resMemory
	resPods
	resOther
)

// needs returns r by resource index; every pod takes at least one pod slot.
func (e *Engine) needs(r Resources) []int64 {
	out := e.resources(r)
	out[resPods] = max(out[resPods], 1)
	return out
}

// resources returns r by resource index, learning names as they come.
func (e *Engine) resources(r Resources) []int64 {
	for _, name := range r.names() {
		if _, ok := e.resIndex[name]; !ok {
			e.resIndex[name] = len(e.resNames)
			e.resNames = append(e.resNames, name)
			for _, n := range e.nodes {
				n.cap = append(n.cap, 0)
				for v := range n.used {
					n.used[v] = append(n.used[v], 0)
				}
			}
		}
	}
	out := make([]int64, len(e.resNames))
	out[resCPU], out[resMemory], out[resPods] = r.CPU, r.Memory, r.Pods
	for name, amount := range r.Other {
		out[e.resIndex[name]] = amount
	}
	return out
}

// cut returns what one pod of s takes of a device of the class.
func (e *Engine) cut(s *shape, class int32) *cut {
	for int(class) >= len(s.cuts) {
		s.cuts = append(s.cuts, cut{})
	}
	c := &s.cuts[class]
	if !c.known {
		*c = cutOf(s, e.classes[class])
		c.hole = c.size(e.classes[class])
	}
	return c
}

func cutOf(s *shape, d deviceClass) cut {
	c := cut{known: true}
	if len(s.ask.Models) > 0 && !slices.Contains(s.ask.Models, d.model) {
		return c
	}
	if s.whole {
		c.ok, c.mem, c.comp, c.limMem, c.limComp, c.charge = true, d.mem, d.comp, d.mem, d.comp, GPU
		return c
	}
	p := s.ask.Part
	if p.Fraction == 0 && d.mem == 0 || d.comp == 0 {
		return c // memory of an unknown whole cannot be turned into a part
	}
	c.mem = p.MemoryMiB
	if c.mem == 0 {
		c.mem = min(max(mulDiv(d.mem, p.Fraction, GPU, false), 1), d.mem)
	}
	switch {
	case p.ComputeMilli > 0:
		c.comp = p.ComputeMilli
	case p.Fraction > 0:
		c.comp = max(mulDiv(d.comp, p.Fraction, GPU, false), 1)
	default:
		c.comp = max(mulDiv(d.comp, c.mem, d.mem, false), 1)
	}
	c.ok = c.mem <= d.mem && c.comp <= d.comp
	c.charge = p.Fraction
	if p.MemoryMiB > 0 && d.mem > 0 {
		c.charge = max(c.charge, mulDiv(c.mem, GPU, d.mem, true))
	}
	if p.ComputeMilli > 0 {
		c.charge = max(c.charge, mulDiv(c.comp, GPU, d.comp, true))
	}
	c.ok = c.ok && (s.most == 0 || c.charge <= s.most)
	c.limMem, c.limComp = limits(p, c, d)
	return c
}

// limits returns how far a part may burst: never less than it is guaranteed
// and never more than the device.
func limits(p Part, c cut, d deviceClass) (mem, comp int64) {
	mem, comp = c.mem, c.comp
	if p.LimitFraction > 0 {
		mem = mulDiv(d.mem, p.LimitFraction, GPU, false)
		comp = mulDiv(d.comp, p.LimitFraction, GPU, false)
	}
	if p.LimitMemoryMiB > 0 {
		mem = p.LimitMemoryMiB
	}
	if p.LimitComputeMilli > 0 {
		comp = p.LimitComputeMilli
	}
	return min(max(mem, c.mem), d.mem), min(max(comp, c.comp), d.comp)
}

// floorCharge returns the least that one pod of s can be charged in p: exact
// for whole devices and fractions; for asks by memory, that on the largest
// device.
func (e *Engine) floorCharge(s *shape, p *pool) vec {
	charge := vec{0, s.ask.CPU, s.ask.Memory}
	if s.ask.Devices == 0 {
		return charge
	}
	if s.whole {
		charge[0] = int64(s.ask.Devices) * GPU
		return charge
	}
	least := int64(-1)
	for _, class := range p.shared {
		if c := e.cut(s, class); c.ok && (least < 0 || c.charge < least) {
			least = c.charge
		}
	}
	if least < 0 {
		least = max(s.ask.Part.Fraction, 1)
	}
	charge[0] = least * int64(s.ask.Devices)
	return charge
}

// chargeOn is the least that a pod of s is charged for devices of n, or 0 when
// none suits.
func (e *Engine) chargeOn(s *shape, n *node) int64 {
	least := int64(0)
	for i := range n.devices {
		if c := e.cut(s, n.devices[i].class); c.ok && (least == 0 || c.charge < least) {
			least = c.charge
		}
	}
	return least * int64(s.ask.Devices)
}
