package sched

import (
	"cmp"
	"math/bits"
	"slices"
)

// mix is what pods are like: the shapes, the most common first, with weights.
// It is told by [Config.Expect], or else taken from the pods that exist. In
// that case weights keep two binary digits only, so that the mix, and with it
// every score, changes seldom, and depends on what exists alone.
type mix struct {
	shapes     []*shape
	weights    []int64
	sum        int64
	popular    int   // the first so many make up 95% of the pods
	popularSum int64 // their weights

	ahead *outlook // what follows from it for the dense rule; see outlook.go
}

// expect makes a mix of what is told to expect.
func (e *Engine) expect(told []Expected) {
	if len(told) == 0 {
		return
	}
	m := &mix{}
	for _, x := range told {
		s := e.intern(x.Ask, 0)
		if i := slices.Index(m.shapes, s); i >= 0 {
			m.weights[i] += x.Weight
			continue
		}
		m.shapes = append(m.shapes, s)
		m.weights = append(m.weights, x.Weight)
	}
	m.settle()
	e.mix, e.told = m, true
}

// count notes that one more (or less) pod of s exists.
func (e *Engine) count(s *shape, by int) {
	before := rounded(s.known)
	s.known += by
	if !e.told && rounded(s.known) != before {
		e.mix = nil
	}
}

// rounded keeps the first two binary digits of n.
func rounded(n int) int64 {
	k := max(bits.Len(uint(n))-2, 0)
	return int64(n>>k) << k
}

func (e *Engine) currentMix() *mix {
	if e.mix != nil {
		return e.mix
	}
	m := &mix{}
	for _, s := range e.shapeList {
		if s.known > 0 && s.most == 0 {
			m.shapes = append(m.shapes, s)
			m.weights = append(m.weights, rounded(s.known))
		}
	}
	m.settle()
	e.mix = m
	return m
}

// settle orders the shapes and sums up.
func (m *mix) settle() {
	order := make([]int, len(m.shapes))
	for i := range order {
		order[i] = i
		m.sum += m.weights[i]
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(m.weights[b], m.weights[a]), cmp.Compare(m.shapes[a].key, m.shapes[b].key))
	})
	shapes, weights := m.shapes, m.weights
	m.shapes, m.weights = nil, nil
	for _, i := range order {
		if m.popularSum*100 < m.sum*95 {
			m.popular++
			m.popularSum += weights[i]
		}
		m.shapes, m.weights = append(m.shapes, shapes[i]), append(m.weights, weights[i])
	}
}
