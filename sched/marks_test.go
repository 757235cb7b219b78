package sched

import (
	"testing"

	"pgregory.net/rapid"
)

// Marks know their least number, and the least from another on, whatever came
// and went.
func TestMarksKnowTheLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20_000).Draw(t, "n")
		m, set := newMarks(n), map[int32]bool{}
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			i := int32(rapid.IntRange(0, n-1).Draw(t, "i"))
			if rapid.Bool().Draw(t, "add") {
				m.add(i)
				set[i] = true
			} else {
				m.drop(i)
				delete(set, i)
			}
			least := func(from int32) int32 {
				least := int32(-1)
				for x := range set {
					if x >= from && (least < 0 || x < least) {
						least = x
					}
				}
				return least
			}
			if got, want := m.least(), least(0); got != want {
				t.Fatalf("the least of %v is said to be %d; it is %d", set, got, want)
			}
			for _, from := range []int32{0, i, i + 1} {
				if got, want := m.next(from), least(from); got != want {
					t.Fatalf("the least of %v from %d on is said to be %d; it is %d", set, from, got, want)
				}
			}
		}
	})
}
