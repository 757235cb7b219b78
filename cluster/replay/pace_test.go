package replay

import (
	"testing"
	"time"
)

// A cluster that takes every item five seconds late half way through a replay
// of twenty seconds is waited for, once.
func TestPaceWaitsForTheCluster(t *testing.T) {
	var held time.Duration
	p := &pace{start: noon, hold: func(d time.Duration) { held += d }}
	for s := range 21 {
		at := time.Duration(s) * time.Second
		taken := p.due(at).Add(slack) // as late as does not count
		if s == 10 {
			taken = taken.Add(5*time.Second - slack)
		}
		p.taken(at, taken)
	}
	if got := p.behind(); got != 5*time.Second {
		t.Errorf("the clock stood still for %v, want 5s", got)
	}
	if got := p.due(20 * time.Second); !got.Equal(after(25)) {
		t.Errorf("the item of second 20 is due at %v, want second 25", got)
	}
	if held != p.behind() {
		t.Errorf("what runs was held up for %v, the clock for %v", held, p.behind())
	}
}
