package sched

import (
	"math"
	"math/bits"
)

// vec is an Amount as an array, for loops.
type vec [3]int64

func (a Amount) vec() vec { return vec{a.GPU, a.CPU, a.Memory} }

func (v vec) amount() Amount { return Amount{GPU: v[0], CPU: v[1], Memory: v[2]} }

func (v *vec) add(w vec) {
	for i := range v {
		v[i] += w[i]
	}
}

func (v vec) plus(w vec) vec {
	v.add(w)
	return v
}

func (v *vec) sub(w vec) {
	for i := range v {
		v[i] -= w[i]
	}
}

func (v vec) times(n int64) vec {
	for i := range v {
		v[i] *= n
	}
	return v
}

// over reports whether used exceeds the bounded entries of bound in a resource
// that ask takes.
func (v vec) over(bound, ask vec) bool {
	for i := range v {
		if ask[i] > 0 && bound[i] >= 0 && v[i] > bound[i] {
			return true
		}
	}
	return false
}

// above returns, per resource, what v has above bound; unbounded counts none.
func (v vec) above(bound vec) vec {
	var out vec
	for i := range v {
		if bound[i] >= 0 && v[i] > bound[i] {
			out[i] = v[i] - bound[i]
		}
	}
	return out
}

// perTrillion is the unit of shares of a pool.
const perTrillion = 1_000_000_000_000

// share returns part/whole in units of 1/perTrillion, rounded down and held to
// one; an empty whole counts as fully used by any part.
func share(part, whole int64) int64 {
	switch {
	case part <= 0:
		return 0
	case part >= whole:
		return perTrillion
	}
	hi, lo := bits.Mul64(uint64(part), perTrillion)
	q, _ := bits.Div64(hi, lo, uint64(whole))
	return int64(q)
}

// ratioLess compares a/wa with b/wb exactly. A weight of zero makes a ratio
// infinite, so that its holder comes last; two zero weights compare by a and b.
func ratioLess(a, wa, b, wb int64) bool { return ratioCmp(a, wa, b, wb) < 0 }

func ratioCmp(a, wa, b, wb int64) int {
	if wa == 0 || wb == 0 {
		switch {
		case wa != 0:
			return -1
		case wb != 0:
			return 1
		}
		wa, wb = 1, 1
	}
	h1, l1 := bits.Mul64(uint64(a), uint64(wb))
	h2, l2 := bits.Mul64(uint64(b), uint64(wa))
	switch {
	case h1 != h2:
		return sign(h1 < h2)
	case l1 != l2:
		return sign(l1 < l2)
	}
	return 0
}

func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// mulDiv returns a*b/c with a 128-bit product, rounded down or up, held to the
// largest integer. All arguments are non-negative; c is positive.
func mulDiv(a, b, c int64, up bool) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if up {
		var carry uint64
		lo, carry = bits.Add64(lo, uint64(c-1), 0)
		hi += carry
	}
	if hi >= uint64(c) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, math.MaxInt64))
}

// where returns v without the entries that w has none of.
func (v vec) where(w vec) vec {
	for i := range v {
		if w[i] <= 0 {
			v[i] = 0
		}
	}
	return v
}

func (v vec) minus(w vec) vec {
	v.sub(w)
	return v
}

// under reports whether v is below the bounded entries of bound in a resource
// that ask takes.
func (v vec) under(bound, ask vec) bool {
	for i := range v {
		if ask[i] > 0 && bound[i] >= 0 && v[i] < bound[i] {
			return true
		}
	}
	return false
}
