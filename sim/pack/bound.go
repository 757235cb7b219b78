package pack

import (
	"maps"
	"math"
	"slices"
)

// Bound returns what no rule can exceed at a load, in per cent of all GPUs, that
// gave out so much at an earlier one (all as in [Result.Allocation]): neither by
// better places nor by moves, as long as what was started goes on. With 0 given
// before it bounds a rule that knows what comes and refuses whom it likes.
//
// It is the value of a linear program. Its variables are how many pods of each
// size were accepted, of those that came until the earlier load and of those
// after, and how many devices are filled in each of the ways in which sizes add
// up to no more than a device. No more can be accepted than came; what was given
// out is what was accepted until then; what was accepted has to fit on as many
// devices as there are. Every rule's history satisfies that at any two arrivals,
// so the means over those that are counted for the two loads satisfy it with the
// means of what came. Counts need not be whole, and of CPU, memory, models and
// nodes the program knows nothing, so the bound is not sharp.
func (c *Case) Bound(load int, given float64, at int) float64 {
	early, late := c.came(load), c.came(at)
	sizes := slices.Sorted(maps.Keys(late))
	p := newFilling(sizes, float64(c.Milli)/wholeDevice)
	for i, size := range sizes {
		p.most[p.early(i)], p.most[p.late(i)] = early[size], late[size]-early[size]
	}
	p.most[p.given()] = given / 100 * float64(c.Milli)
	accepted := p.solve()
	sum := 0.0
	for i, size := range sizes {
		sum += float64(size) * accepted[i]
	}
	return math.Min(100*sum/float64(c.Milli), 100)
}

// wholeDevice is the size of a device, in thousandths.
const wholeDevice = 1000

// came returns how many devices, or parts of them, were asked for until a load,
// by size: the mean over the arrivals that are counted for it.
func (c *Case) came(load int) map[int]float64 {
	until, sum := map[int]float64{}, map[int]float64{}
	asked, arrivals := int64(0), 0.0
	for _, p := range c.Pods {
		asked += milli(p)
		if p.GPUs > 0 {
			until[int(p.GPUMilli)] += float64(p.GPUs)
		}
		if int(math.Round(100*float64(asked)/float64(c.Milli))) == load {
			arrivals++
			for size, n := range until {
				sum[size] += n
			}
		}
	}
	for size := range sum {
		sum[size] /= arrivals
	}
	return sum
}
