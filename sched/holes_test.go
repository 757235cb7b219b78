package sched

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// drawItems draws parts of different sizes, in random numbers.
func drawItems(t *rapid.T, most, least int) []item {
	sizes := rapid.SliceOfNDistinct(rapid.IntRange(least, wholeHole-1), 1, most, rapid.ID[int]).Draw(t, "sizes")
	items := make([]item, len(sizes))
	for i, size := range sizes {
		items[i] = item{size: size, weight: float64(rapid.IntRange(1, 1000).Draw(t, "weight"))}
	}
	return items
}

// fillings calls see with every way to fill a device with the items, itself
// included when it is not full.
func fillings(items []item, see func(counts []int)) {
	counts := make([]int, len(items))
	var put func(i, room int)
	put = func(i, room int) {
		if i == len(items) {
			see(counts)
			return
		}
		for n := 0; n*items[i].size <= room; n++ {
			counts[i] = n
			put(i+1, room-n*items[i].size)
		}
		counts[i] = 0
	}
	put(0, wholeHole)
}

// slack is what rounding to millionths may make up.
const slack = 20

// No way to fill a device pays more than the device, and no way to fill a hole
// more than the hole is worth.
func TestHolesAreNeverOverpaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := drawItems(t, 5, 100)
		h := worthOf(items)
		fillings(items, func(counts []int) {
			paid, size := int64(0), 0
			for i, n := range counts {
				paid += int64(n) * h.price(items[i].size)
				size += n * items[i].size
			}
			if paid > h.by[size]+slack || h.by[size] > GPU {
				t.Fatalf("%v of %v pay %d for a hole that is worth %d", counts, items, paid, h.by[size])
			}
		})
	})
}

// The same where all fillings are too many to try: the best is found for each
// hole from the best of smaller ones.
func TestManySizesOverpayNoHole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := drawItems(t, mostSizes, 1)
		h := worthOf(items)
		var best [wholeHole + 1]int64
		for hole := 1; hole <= wholeHole; hole++ {
			best[hole] = best[hole-1]
			for _, x := range items {
				if x.size <= hole {
					best[hole] = max(best[hole], best[hole-x.size]+h.price(x.size))
				}
			}
			if h.by[hole] < h.by[hole-1] {
				t.Fatalf("a hole of %d is worth %d, a smaller one %d", hole, h.by[hole], h.by[hole-1])
			}
		}
		if best[wholeHole] > GPU+GPU/1000 { // each of up to 1,000 parts is rounded
			t.Fatalf("%v: some filling pays %d", items, best[wholeHole])
		}
	})
}

// Of too many sizes some count as larger ones: none is lost, none gets smaller.
func TestFewerSizesHoldAllParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := drawItems(t, 300, 1)
		kept := fewer(items)
		from := func(items []item, size int) (sum float64) {
			for _, x := range items {
				if x.size >= size {
					sum += x.weight
				}
			}
			return sum
		}
		for _, x := range items {
			if from(kept, x.size) < from(items, x.size) {
				t.Fatalf("of size %d and more, %v has fewer than %v", x.size, kept, items)
			}
		}
		if len(kept) > mostSizes || from(kept, 0) != from(items, 0) {
			t.Fatalf("%d of %d sizes are kept, with %f parts of %f", len(kept), len(items), from(kept, 0), from(items, 0))
		}
	})
}

// What all parts pay is what they need: the devices of the best packing in
// which fractions of devices may be filled alike.
func TestPartsPayForTheBestPacking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := drawItems(t, 3, 200)
		h := worthOf(items)
		paid, weights := 0.0, 0.0
		for _, x := range items {
			paid += x.weight * float64(h.price(x.size)) / float64(GPU)
			weights += x.weight
		}
		if want := fewestDevices(items); math.Abs(paid-want) > weights*slack/float64(GPU) {
			t.Fatalf("%v pay for %f devices, and need %f", items, paid, want)
		}
	})
}

// fewestDevices tries all combinations of as many fillings as there are items:
// no linear program needs more.
func fewestDevices(items []item) float64 {
	var ways [][]int
	fillings(items, func(counts []int) { ways = append(ways, append([]int(nil), counts...)) })
	best := math.Inf(1)
	chosen := make([][]int, 0, len(items))
	var choose func(from int)
	choose = func(from int) {
		if len(chosen) == len(items) {
			if sum, ok := solve(chosen, items); ok {
				best = min(best, sum)
			}
			return
		}
		for i := from; i < len(ways); i++ {
			chosen = append(chosen, ways[i])
			choose(i + 1)
			chosen = chosen[:len(chosen)-1]
		}
	}
	choose(0)
	return best
}

// solve returns how many devices it takes when each is filled in one of the
// ways and exactly the items are placed, if that can be.
func solve(ways [][]int, items []item) (sum float64, ok bool) {
	n := len(items)
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n+1)
		for j := range ways {
			m[i][j] = float64(ways[j][i])
		}
		m[i][n] = items[i].weight
	}
	for c := range n {
		p := c
		for r := c; r < n; r++ {
			if math.Abs(m[r][c]) > math.Abs(m[p][c]) {
				p = r
			}
		}
		if math.Abs(m[p][c]) < 1e-9 {
			return 0, false
		}
		m[c], m[p] = m[p], m[c]
		for r := range n {
			if r == c {
				continue
			}
			for f, j := m[r][c]/m[c][c], c; j <= n; j++ {
				m[r][j] -= f * m[c][j]
			}
		}
	}
	for c := range n {
		x := m[c][n] / m[c][c]
		if x < -1e-9 {
			return 0, false
		}
		sum += x
	}
	return sum, true
}

// Sizes as in the default trace: two of 470 share a device, 810 has one for
// itself, 650 and 320 pair up. Which of the last two pays for what stays free
// depends on which there are too few of.
func TestHolesOfTheDefaultTrace(t *testing.T) {
	for _, c := range []struct {
		few      string
		w650     float64
		w320     float64
		p650     int64
		p320     int64
		hole650  int64
		hole350  int64
		smallest int // a hole that is worth anything
	}{
		{"650", 50, 90, 666_667, 333_333, 666_667, 333_333, 320},
		{"320", 90, 50, 1_000_000, 0, 1_000_000, 0, 470},
	} {
		h := worthOf([]item{{470, 100}, {810, 100}, {650, c.w650}, {320, c.w320}})
		for what, got := range map[string][2]int64{
			"a part of 470":  {h.price(470), 500_000},
			"a part of 810":  {h.price(810), 1_000_000},
			"a part of 650":  {h.price(650), c.p650},
			"a part of 320":  {h.price(320), c.p320},
			"a hole of 530":  {h.by[530], 500_000},
			"a hole of 190":  {h.by[190], 0},
			"a hole of 650":  {h.by[650], c.hole650},
			"a hole of 350":  {h.by[350], c.hole350},
			"the last hole":  {h.by[c.smallest-1], 0},
			"a whole device": {h.by[wholeHole], GPU},
		} {
			if got[0] < got[1]-1 || got[0] > got[1]+1 {
				t.Errorf("with too few of %s: %s is %d, want %d", c.few, what, got[0], got[1])
			}
		}
	}
	if h := worthOf(nil); h.by[wholeHole-1] != 0 || h.by[wholeHole] != GPU {
		t.Errorf("where nothing is expected, parts are worth %d and devices %d", h.by[wholeHole-1], h.by[wholeHole])
	}
}
