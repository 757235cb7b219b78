package sched

import "slices"

// The rules below are those of published work, as they are compared in "Beware
// of Fragmentation" (USENIX ATC'23). Scores are whole per cents there, and what
// ties goes to the node that is first: both matter to the result.

// The largest node of that comparison.
const (
	largestCPU     = 128_000 // milli-CPUs
	largestCompute = 8 * WholeCompute
)

// published reports whether a rule places pods without devices as well.
func published(rule string) bool {
	return rule == Dense || slices.Contains([]string{FGD, BestFit, DotProd, Random}, rule)
}

// bestFit leaves the least CPU and compute free, weighted alike.
type bestFit struct{ tightest }

func (bestFit) node(e *Engine, s *shape, n *node) int64 {
	cpu := n.left(resCPU, now) - s.ask.CPU
	comp := n.freeCompute() - s.compute()
	// floor(100 × (1 - cpu/largest/2 - comp/largest/2)), in integers
	scale := int64(2 * largestCPU * largestCompute)
	return floorDiv(100*(scale-cpu*largestCompute-comp*largestCPU), scale)
}

// dotProd goes where CPU and compute are free the least in the direction in
// which the pod asks for them.
type dotProd struct{ tightest }

func (dotProd) node(e *Engine, s *shape, n *node) int64 {
	product := float64(n.left(resCPU, now)) / largestCPU * (float64(s.ask.CPU) / largestCPU)
	product += float64(float64(n.freeCompute()) / float64(largestCompute) * (float64(s.compute()) / float64(largestCompute)))
	return int64(100 * (1 - product/2))
}

// random goes anywhere: where is a hash of the node's name and state, and of the
// shape.
type random struct{ tightest }

func (random) node(e *Engine, s *shape, n *node) int64 {
	x := uint64(14695981039346656037) // FNV-1a; that of hash/fnv allocates
	for _, c := range []byte(n.Name) {
		x = (x ^ uint64(c)) * 1099511628211
	}
	for _, c := range []byte(s.key) {
		x = (x ^ uint64(c)) * 1099511628211
	}
	return int64(mixed(x^uint64(n.freeCompute())<<40^uint64(n.left(resCPU, now))) >> 1)
}

// mixed spreads the bits of x (the finaliser of MurmurHash3).
func mixed(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// tightest takes parts from the device that has the least free.
type tightest struct{}

func (tightest) device(e *Engine, s *shape, n *node, dev int, v view) int64 {
	_, comp, _ := n.devices[dev].free(v)
	return -comp
}

// compute is how much compute a pod of s asks for, in milli of whole devices.
func (s *shape) compute() int64 {
	k := int64(s.ask.Devices)
	switch p := s.ask.Part; {
	case s.whole:
		return k * WholeCompute
	case p.ComputeMilli > 0:
		return k * p.ComputeMilli
	default:
		return k * p.Fraction / (GPU / WholeCompute)
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
