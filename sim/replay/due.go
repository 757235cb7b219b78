package replay

import (
	"cmp"
	"slices"
)

// grain is in how many parts a GPU is divided when it is said what is due to
// whom.
const grain = 10_000

// claimant is a tenant at one moment: what it could use, running work included,
// and its rights, in GPUs.
type claimant struct{ demand, quota, weight int64 }

// divide says what is due to each tenant of a pool of so many GPUs, in grains.
// First everybody gets its quota, as far as it has a use for it; where quotas
// are more than the pool, in proportion to them. What is left goes to those who
// have a use for more, in proportion to their weights, and after all of them to
// those of weight 0, in equal parts. Nobody is due more than its demand, and
// nothing is left over that somebody could use.
//
// This is what a plan promises, were GPUs divisible and moved at no cost. It
// knows neither the engine nor what the engine did.
func divide(gpus int64, of []claimant) []int64 {
	due, left := make([]int64, len(of)), gpus*grain
	pour := func(bound, weight func(claimant) int64) {
		var cups []cup
		for i, c := range of {
			if room, w := bound(c)*grain-due[i], weight(c); room > 0 && w > 0 {
				cups = append(cups, cup{i, room, w})
			}
		}
		left = fill(cups, left, due)
	}
	quota := func(c claimant) int64 { return c.quota }
	demand := func(c claimant) int64 { return c.demand }
	pour(func(c claimant) int64 { return min(c.demand, c.quota) }, quota)
	pour(demand, func(c claimant) int64 { return c.weight })
	pour(demand, func(claimant) int64 { return 1 })
	return due
}

// cup is a tenant that has room for so many grains more.
type cup struct {
	tenant       int
	room, weight int64
}

// fill pours into all cups at once, into each by its weight, until they are full
// or nothing is left, and returns what is left.
func fill(cups []cup, left int64, due []int64) int64 {
	slices.SortFunc(cups, func(a, b cup) int {
		return cmp.Or(cmp.Compare(a.room*b.weight, b.room*a.weight), cmp.Compare(a.tenant, b.tenant))
	})
	weights := int64(0)
	for _, c := range cups {
		weights += c.weight
	}
	for _, c := range cups { // the one that is full first, first
		part := min(c.room, left*c.weight/weights)
		due[c.tenant] += part
		left -= part
		weights -= c.weight
	}
	return left
}
