package sched

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// mix is what pods are like: the shapes, the most common first, with weights.
// It is told by [Expect], or else taken from the pods that exist. In that case
// weights keep one binary digit only, so that the mix, and with it every score
// of the fgd rule, changes seldom, and depends on what exists alone.
type mix struct {
	shapes  []*shape
	weights []int64
	sum     int64
	parts   []int64 // of the first shapes, which make up 95% of the pods, in millionths of those
}

// most bounds of what may be expected.
const (
	mostExpected = 1024
	mostWeight   = 1 << 16
)

// expect takes over what is told to expect; nothing takes back what was told.
func (e *Engine) expect(ev Expect) error {
	if len(ev.Pods) > mostExpected {
		return fmt.Errorf("%d kinds of pods are more than can be expected: tell the %d most common", len(ev.Pods), mostExpected)
	}
	for _, x := range ev.Pods {
		if err := x.Ask.Check(); err != nil {
			return fmt.Errorf("expected pods: %w", err)
		}
		if x.Weight < 1 || x.Weight > mostWeight {
			return fmt.Errorf("expected pods: weight %d is not 1 to %d", x.Weight, mostWeight)
		}
	}
	m := &mix{}
	for _, x := range ev.Pods {
		s := e.intern(x.Ask, 0)
		if i := slices.Index(m.shapes, s); i >= 0 {
			m.weights[i] += x.Weight
			continue
		}
		m.shapes, m.weights = append(m.shapes, s), append(m.weights, x.Weight)
	}
	m.settle()
	old := e.outlook.mix
	if slices.Equal(m.shapes, old.shapes) && slices.Equal(m.weights, old.weights) {
		return nil
	}
	e.expected, e.outlook = m, newOutlook(m)
	if len(ev.Pods) == 0 {
		e.expected = nil
	}
	for _, p := range e.poolList {
		switch p.GPUPlacement {
		case FGD:
			p.changes.forget()
		case Dense:
			p.changes.age(len(p.nodes)) // scores are guessed anew; see outlookOf
		}
	}
	return nil
}

// count notes that one more (or less) pod of s exists.
func (e *Engine) count(s *shape, by int) {
	before := bits.Len(uint(s.known))
	s.known += by
	if bits.Len(uint(s.known)) != before {
		e.mix = nil
	}
}

// currentMix is what is expected or, before anything was told, what exists.
func (e *Engine) currentMix() *mix {
	switch {
	case e.expected != nil:
		return e.expected
	case e.mix != nil:
		return e.mix
	}
	m := &mix{}
	for _, s := range e.shapeList {
		if s.known > 0 {
			m.shapes = append(m.shapes, s)
			m.weights = append(m.weights, 1<<bits.Len(uint(s.known))>>1)
		}
	}
	m.settle()
	e.mix = m
	return m
}

// remix voids the scores of all fgd pools when the mix of pods has changed.
func (e *Engine) remix() {
	if e.expected != nil || e.mix != nil {
		return
	}
	for _, p := range e.poolList {
		if p.GPUPlacement == FGD {
			p.changes.forget()
		}
	}
	e.currentMix()
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
	popular, most := 0, int64(0)
	for _, i := range order {
		if most*100 < m.sum*95 {
			popular++
			most += weights[i]
		}
		m.shapes, m.weights = append(m.shapes, shapes[i]), append(m.weights, weights[i])
	}
	for _, weight := range m.weights[:popular] {
		m.parts = append(m.parts, weight*1_000_000/most)
	}
}
