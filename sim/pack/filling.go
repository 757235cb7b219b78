package pack

// filling is the linear program of [Case.Bound]: to accept as much as fits on
// some devices. Its rows say, of each size: what is accepted has places; no more
// was accepted early, and late, than came; and that enough was given out early.
// Its columns are what is accepted, and ways to fill a device, which are found
// when they are worth it (Gilmore and Gomory, 1961).
type filling struct {
	sizes   []int
	most    []float64   // by row
	columns [][]float64 // by column, then row
	worth   []float64   // by column
}

// goal is what a thousandth is worth of what has to be given out early, beside
// itself: more than anything that could be accepted for it.
const goal = 100

func newFilling(sizes []int, devices float64) *filling {
	f := &filling{sizes: sizes, most: make([]float64, 3*len(sizes)+3)}
	f.most[f.devices()] = devices
	for i, size := range sizes {
		for _, came := range []int{f.early(i), f.late(i)} {
			column := f.column(float64(size))
			column[f.placed(i)], column[came] = 1, 1
			if came == f.early(i) {
				column[f.counted()] = -float64(size)
			}
		}
	}
	enough := f.column(goal)
	enough[f.given()], enough[f.counted()] = 1, 1
	for i, size := range sizes {
		column := f.column(0)
		column[f.placed(i)], column[f.devices()] = -float64(wholeDevice/size), 1
	}
	return f
}

// The rows.
func (f *filling) placed(i int) int { return i }
func (f *filling) early(i int) int  { return len(f.sizes) + i }
func (f *filling) late(i int) int   { return 2*len(f.sizes) + i }
func (f *filling) counted() int     { return 3 * len(f.sizes) } // no more is given out early than accepted
func (f *filling) given() int       { return 3*len(f.sizes) + 1 }
func (f *filling) devices() int     { return 3*len(f.sizes) + 2 }

// column adds one of that worth.
func (f *filling) column(worth float64) []float64 {
	column := make([]float64, len(f.most))
	f.columns, f.worth = append(f.columns, column), append(f.worth, worth)
	return column
}

// mostRounds bounds the ways to fill a device that are found. A few dozen do.
const mostRounds = 1000

// solve returns how many of each size are accepted, early and late.
func (f *filling) solve() []float64 {
	var x []float64
	for range mostRounds {
		var prices []float64
		x, prices = maximise(f.worth, f.columns, f.most)
		fill, worth := f.bestFill(prices)
		if worth <= prices[f.devices()]+1e-7 {
			break
		}
		column := f.column(0)
		column[f.devices()] = 1
		for i, n := range fill {
			column[f.placed(i)] = -n
		}
	}
	accepted := make([]float64, len(f.sizes))
	for i := range accepted {
		accepted[i] = x[2*i] + x[2*i+1]
	}
	return accepted
}

// bestFill returns how many of each size fill a device best at the prices of
// their places, and what they are worth.
func (f *filling) bestFill(prices []float64) (fill []float64, worth float64) {
	var best [wholeDevice + 1]float64
	var last [wholeDevice + 1]int // 1 + the size put last; 0 for one thousandth less
	for free := 1; free <= wholeDevice; free++ {
		best[free] = best[free-1]
		for i, size := range f.sizes {
			if size <= free && best[free-size]+prices[f.placed(i)] > best[free]+1e-12 {
				best[free], last[free] = best[free-size]+prices[f.placed(i)], 1+i
			}
		}
	}
	fill = make([]float64, len(f.sizes))
	for free := wholeDevice; free > 0; {
		if i := last[free] - 1; i >= 0 {
			fill[i]++
			free -= f.sizes[i]
		} else {
			free--
		}
	}
	return fill, best[wholeDevice]
}

// maximise returns the x >= 0 with the largest worth·x for which no row of the
// columns' sum exceeds its most, none of which is below 0, and the prices of the
// rows: the simplex method on a dense tableau.
func maximise(worth []float64, columns [][]float64, most []float64) (x, prices []float64) {
	n, rows := len(columns), len(most)
	t := make([][]float64, rows+1) // the last one is of what columns promise
	basis := make([]int, rows)
	for i := range t {
		t[i] = make([]float64, n+rows+1)
		for j := range columns {
			if i == rows {
				t[i][j] = -worth[j]
			} else {
				t[i][j] = columns[j][i]
			}
		}
		if i < rows {
			t[i][n+i], t[i][n+rows], basis[i] = 1, most[i], n+i
		}
	}
	for step := 0; ; step++ {
		in := entering(t[rows][:n+rows], step > 20*(n+rows))
		out := leaving(t, basis, in)
		if out < 0 {
			break
		}
		pivot(t, out, in)
		basis[out] = in
	}
	x = make([]float64, n)
	for i, j := range basis {
		if j < n {
			x[j] = t[i][n+rows]
		}
	}
	return x, t[rows][n : n+rows]
}

const tiny = 1e-9

// entering picks the column that promises most or, when cautious, the first that
// promises anything, which never goes in circles; -1 when none does.
func entering(promises []float64, cautious bool) int {
	best, at := -tiny, -1
	for j, x := range promises {
		if x < best {
			best, at = x, j
			if cautious {
				break
			}
		}
	}
	return at
}

// leaving picks the row that bounds the entering column first; -1 when none does,
// or none enters.
func leaving(t [][]float64, basis []int, in int) int {
	out, least := -1, 0.0
	for i := range basis {
		if in < 0 || t[i][in] <= tiny {
			continue
		}
		ratio := t[i][len(t[i])-1] / t[i][in]
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
			for j, x := range t[out] {
				t[i][j] -= float64(f * x)
			}
		}
	}
}
