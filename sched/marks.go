package sched

import "math/bits"

// marks is a set of small numbers that knows its least one.
type marks struct {
	words []uint64
	full  []uint64 // by word: whether it has any
}

// newMarks returns an empty set with room for the numbers below n.
func newMarks(n int) marks {
	words := n/64 + 1
	return marks{words: make([]uint64, words), full: make([]uint64, words/64+1)}
}

func (m *marks) add(i int32) {
	m.words[i/64] |= 1 << (i % 64)
	m.full[i/4096] |= 1 << (i / 64 % 64)
}

func (m *marks) drop(i int32) {
	if m.words[i/64] &^= 1 << (i % 64); m.words[i/64] == 0 {
		m.full[i/4096] &^= 1 << (i / 64 % 64)
	}
}

// least returns the least number of the set, or -1.
func (m *marks) least() int32 {
	for i, full := range m.full {
		if full != 0 {
			w := i*64 + bits.TrailingZeros64(full)
			return int32(w*64 + bits.TrailingZeros64(m.words[w]))
		}
	}
	return -1
}

// next returns the least number of the set that is not below i, or -1.
func (m *marks) next(i int32) int32 {
	for w := int(i / 64); w < len(m.words); w++ {
		rest := m.words[w]
		if w == int(i/64) {
			rest &= ^uint64(0) << (i % 64)
		}
		if rest != 0 {
			return int32(w*64 + bits.TrailingZeros64(rest))
		}
	}
	return -1
}
