package sched

import (
	"cmp"
	"slices"
)

// wholeHole is the size of a device that nobody uses, in parts of it.
const wholeHole = 1000

// holes is what free parts of a device are worth for the parts that are
// expected: by[h] is the worth of a hole of h thousandths, in millionths of a
// device.
//
// The worth comes from packing the expected parts, in the numbers in which they
// are expected, into as few devices as possible. The linear program of that
// (Gilmore and Gomory, 1961) has a price for each size: what a part of it has
// to pay so that every device of an optimal packing is paid for and none is
// overpaid. A hole is worth what the parts that fit in it pay at best. A part
// that is scarce pays nothing, so a hole that only such parts could fill is
// worth nothing, and one that common parts fill exactly is worth its share of
// the device.
type holes struct{ by [wholeHole + 1]int64 }

// item is a size of part, in thousandths, and how common it is.
type item struct {
	size   int
	weight float64
}

// price is what a part of that size pays: what a device loses in worth by it.
func (h *holes) price(size int) int64 { return h.by[wholeHole] - h.by[wholeHole-size] }

// mostCuts bounds the rounds of worthOf. A few dozen do for a hundred sizes.
const mostCuts = 400

// worthOf prices holes for the items, whose sizes differ and are below
// wholeHole. It solves the dual program, adding the packing of a device that
// violates its prices the most until none does.
func worthOf(items []item) *holes {
	h := &holes{}
	h.by[wholeHole] = GPU
	if len(items) == 0 {
		return h
	}
	items = fewer(items)
	goal := make([]float64, len(items))
	rows := make([][]float64, len(items))
	for i, x := range items {
		goal[i] = x.weight
		rows[i] = make([]float64, len(items))
		rows[i][i] = float64(wholeHole / x.size)
	}
	var worth []float64
	for range mostCuts {
		prices := maximise(goal, rows)
		var row []float64
		worth, row = bestFill(items, prices)
		if worth[wholeHole] <= 1+1e-7 {
			break
		}
		rows = append(rows, row)
	}
	for i := range wholeHole {
		h.by[i] = min(int64(float64(worth[i]*float64(GPU))+0.5), GPU)
	}
	return h
}

// mostSizes bounds the program: sixty-four sizes take a tenth of a second, and
// twice as many thirty times as long.
const mostSizes = 64

// fewer returns the items, the largest first. Of too many it keeps the most
// common sizes and the largest; the others count as of the next larger one.
func fewer(items []item) []item {
	items = slices.Clone(items)
	larger := func(a, b item) int { return b.size - a.size }
	slices.SortFunc(items, larger)
	if len(items) <= mostSizes {
		return items
	}
	rest := items[1:]
	slices.SortFunc(rest, func(a, b item) int { return cmp.Or(cmp.Compare(b.weight, a.weight), larger(a, b)) })
	kept := items[:mostSizes]
	slices.SortFunc(kept, larger)
	for _, x := range items[mostSizes:] {
		at, _ := slices.BinarySearchFunc(kept, x, larger)
		kept[at-1].weight += x.weight
	}
	return kept
}

// bestFill returns what holes of each size are worth at the prices, and how
// many of each item fill a whole device at best.
func bestFill(items []item, prices []float64) (worth, row []float64) {
	worth = make([]float64, wholeHole+1)
	pick := make([]int, wholeHole+1) // the item put last; -1 for one thousandth less
	for h := 1; h <= wholeHole; h++ {
		worth[h], pick[h] = worth[h-1], -1
		for i, x := range items {
			if x.size <= h && worth[h-x.size]+prices[i] > worth[h]+1e-12 {
				worth[h], pick[h] = worth[h-x.size]+prices[i], i
			}
		}
	}
	row = make([]float64, len(items))
	for h := wholeHole; h > 0; {
		if i := pick[h]; i >= 0 {
			row[i]++
			h -= items[i].size
		} else {
			h--
		}
	}
	return worth, row
}

// maximise returns the y >= 0 with the largest goal·y for which every row·y is
// at most 1: the simplex method on a dense tableau. Products are rounded before
// they are added, so that every processor comes to the same result.
func maximise(goal []float64, rows [][]float64) []float64 {
	n, m := len(goal), len(rows)
	width := n + m + 1
	t := make([][]float64, m+1)
	basis := make([]int, m)
	for i, row := range rows {
		t[i] = make([]float64, width)
		copy(t[i], row)
		t[i][n+i], t[i][width-1] = 1, 1
		basis[i] = n + i
	}
	t[m] = make([]float64, width)
	for j, g := range goal {
		t[m][j] = -g
	}
	for step := 0; step < 50*(n+m); step++ {
		in := entering(t[m][:width-1], step > 10*(n+m))
		if in < 0 {
			break
		}
		out := leavingRow(t, basis, in)
		if out < 0 {
			break
		}
		pivot(t, out, in)
		basis[out] = in
	}
	y := make([]float64, n)
	for i, b := range basis {
		if b < n {
			y[b] = t[i][width-1]
		}
	}
	return y
}

const tiny = 1e-10

// entering picks the column that promises most or, when cautious, the first
// that promises anything (Bland's rule, which never goes in circles).
func entering(costs []float64, cautious bool) int {
	best, at := -tiny, -1
	for j, c := range costs {
		if c < best {
			best, at = c, j
			if cautious {
				break
			}
		}
	}
	return at
}

// leavingRow picks the row that bounds the entering column first.
func leavingRow(t [][]float64, basis []int, in int) int {
	out, least := -1, 0.0
	last := len(t[0]) - 1
	for i := range basis {
		if t[i][in] <= tiny {
			continue
		}
		ratio := t[i][last] / t[i][in]
		if out < 0 || ratio < least-1e-12 || ratio < least+1e-12 && basis[i] < basis[out] {
			out, least = i, ratio
		}
	}
	return out
}

func pivot(t [][]float64, out, in int) {
	by := t[out][in]
	for j := range t[out] {
		t[out][j] /= by
	}
	for i := range t {
		if f := t[i][in]; i != out && f != 0 {
			for j := range t[i] {
				t[i][j] -= float64(f * t[out][j])
			}
		}
	}
}
