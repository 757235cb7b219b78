package sched

import (
	"math"
	"slices"
)

// fgd places where the least fragmentation arises: the free compute that pods
// like those in the cluster could not use. It is the published rule of
// "Beware of Fragmentation" (USENIX ATC'23). The mix of pods is what [Expect]
// told or, before anything was told, taken from what exists; see [mix].
type fgd struct{}

// fragment is the free compute of n, in milli × 1e6, that pods of the mix
// could not use, weighted by how common they are.
func (e *Engine) fragment(n *node) int64 {
	free := n.freeCompute()
	sum := int64(0)
	m := e.currentMix()
	for i, part := range m.parts {
		s := m.shapes[i]
		if s.ask.Devices == 0 || e.slots(s, n, now, 1) == 0 {
			sum += part * free
			continue
		}
		if n.Counted {
			continue // what is free is free whole
		}
		for j := range n.devices {
			d := &n.devices[j]
			_, comp, empty := d.free(now)
			if s.whole && !empty || !s.whole && e.partsOn(s, d, now) == 0 {
				sum += part * max(comp, 0)
			}
		}
	}
	return sum
}

// freeCompute is what n's devices have free of compute, in milli.
func (n *node) freeCompute() (free int64) {
	if n.Counted {
		return n.uncounted(now) * WholeCompute
	}
	for i := range n.devices {
		_, comp, _ := n.devices[i].free(now)
		free += max(comp, 0)
	}
	return free
}

// fragmentAfter is the fragmentation of n once the parts of s are taken.
func (e *Engine) fragmentAfter(s *shape, n *node, parts []part) (left int64) {
	n.with(s, parts, func() { left = e.fragment(n) })
	return left
}

// with calls look while a pod of s holds the parts on n.
func (n *node) with(s *shape, parts []part, look func()) {
	bump := func(by int64) {
		for v := later; v <= actual; v++ {
			for i, amount := range s.need {
				n.used[v][i] += by * amount
			}
			n.held[v] += by * int64(len(parts))
			for _, p := range parts {
				u := &n.devices[p.dev].used[v]
				u.mem += by * p.mem
				u.comp += by * p.comp
				u.n += int32(by)
			}
		}
	}
	version := n.version
	n.version = 0 // nothing worked out in between may be remembered
	bump(1)
	look()
	bump(-1)
	n.version = version
}

func (fgd) node(e *Engine, s *shape, n *node) int64 {
	before := e.fragment(n)
	return fgdScore(before - e.fragmentAfter(s, n, e.choose(s, n, now)))
}

func (fgd) device(e *Engine, s *shape, n *node, dev int, v view) int64 {
	d := &n.devices[dev]
	return -e.fragmentAfter(s, n, []part{newPart(int32(dev), d, e.cut(s, d.class))})
}

// fgdScore is floor(100 × sigmoid(gain/1000)) for a gain in milli × 1e6: the
// published rule rounds to a hundred steps, and what ties in them matters.
func fgdScore(gain int64) int64 {
	i, found := slices.BinarySearch(fgdSteps[:], gain)
	if found {
		i++
	}
	return int64(i)
}

// fgdSteps[k-1] is the least gain with score k.
var fgdSteps = func() (steps [99]int64) {
	for k := 1; k <= 99; k++ {
		steps[k-1] = int64(math.Ceil(1000 * 1e6 * math.Log(float64(k)/float64(100-k))))
	}
	return steps
}()
