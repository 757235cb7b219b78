package replay

import (
	"sync"
	"time"
)

// pace is the clock of a replay. It stands still while the cluster is too slow
// to take what is due, and what runs is held up by as much: so a slow machine
// shows the same crowd, only later.
type pace struct {
	start time.Time
	hold  func(time.Duration) // holds up what runs

	mu   sync.Mutex
	held time.Duration // how long it stood still so far
}

// slack is how late an item may be without the clock being stopped for it.
const slack = 100 * time.Millisecond

// due returns when an item is to be submitted.
func (p *pace) due(at time.Duration) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.start.Add(at + p.held)
}

// taken notes that an item was taken at a time.
func (p *pace) taken(at time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if late := now.Sub(p.start.Add(at + p.held)); late > slack {
		p.held += late
		p.hold(late)
	}
}

// behind returns how long the clock stood still.
func (p *pace) behind() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}
