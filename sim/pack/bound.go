package pack

import "math"

// Bound returns what no rule can exceed in the end, in per cent of all GPUs,
// that gave out so much when load per cent were asked for (both as in
// [Result.Allocation]): neither by better places nor by moves, as long as what
// was started goes on.
//
// Pods that ask for more than half a device have devices of their own, and what
// is left of these only pods that ask for no more can fill. So for every t: of
// the holes of at most t thousandths beside such pods, no more can be filled
// than all pods ask for that need at most t. A rule may have refused some of
// the pods that leave holes, but no more than was asked for and not given out:
// each thousandth refused spares it at most t/(1000−t) of a hole. The bound is
// the least over all t.
//
// It knows nothing of CPU, memory, models and nodes, so it is not sharp.
func (c *Case) Bound(load int, given float64) float64 {
	until, asked := c.until(load)
	var holes, fill [1000]int64 // by size
	for i, p := range c.Pods {
		if p.GPUs == 0 {
			continue
		}
		if size := p.GPUMilli; size <= 500 {
			fill[size] += milli(p)
		} else if i <= until {
			holes[1000-size] += p.GPUs * (1000 - size)
		}
	}
	all := float64(c.Milli) / 100
	refused := math.Max(asked-given, 0) * all
	most, left := 100.0, 0.0
	for t := 1; t < 500; t++ {
		left += float64(holes[t] - fill[t])
		empty := left - refused*float64(t)/float64(1000-t)
		most = math.Min(most, 100-empty/all)
	}
	return most
}

// until returns the first pod with which so much is asked for, and what is
// asked for in the mean over the pods that are counted for that load. A rule
// has refused no more at the former than in the mean.
func (c *Case) until(load int) (first int, asked float64) {
	first, n := -1, 0
	sum, of := int64(0), 0.0
	for i, p := range c.Pods {
		sum += milli(p)
		x := 100 * float64(sum) / float64(c.Milli)
		if int(math.Round(x)) != load {
			continue
		}
		if first < 0 {
			first = i
		}
		n, of = n+1, of+x
	}
	return first, of / math.Max(float64(n), 1)
}
