package sched

import (
	"testing"

	"pgregory.net/rapid"
)

// Marks know their least number, whatever came and went.
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
			want := int32(-1)
			for x := range set {
				if want < 0 || x < want {
					want = x
				}
			}
			if got := m.least(); got != want {
				t.Fatalf("the least of %v is said to be %d; it is %d", set, got, want)
			}
		}
	})
}
