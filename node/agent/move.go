package agent

import (
	"time"

	"github.com/weir-gpu/weir/node/wire"
)

// move lets a job's memory go out, or come in, and writes that down first: an
// agent that comes back goes on with it.
func (a *Agent) move(j *job) {
	s := &j.stay
	s.place++
	s.asked = a.clock()
	if out(s.place) {
		s.swaps++
	} else {
		s.called = false
		a.admit(j)
	}
	if err := a.keep(j); err != nil {
		a.log.Warn("where a job's memory is to be could not be written down", "job", j.id, "error", err)
	}
	j.pages.Rules.Place.Store(s.place)
	wire.Wake(&j.pages.Rules.Place)
	a.log.Info("job moves", "job", j.id, "state", j.state())
	a.settle(j)
}

// admit lets a job that comes in have what it needs, and what it may have
// beyond, before it asks. There is room for what it needs, unless it was called
// back on its way out: then it may have to ask.
func (a *Agent) admit(j *job) {
	if j.request.Policy != Lend {
		return
	}
	for i, p := range j.parts {
		to := j.needs(i)
		if j.request.Most > p.Memory && j.swappable() {
			to = j.most[i]
		}
		a.raise(j, i, min(to, uint64(max(0, a.left(p.Device, j)))))
	}
}

// askedFor is how long a job that says that it is out is not believed, while
// the driver is asked.
const askedFor = 100 * time.Millisecond

// settle notes that all processes of a job have done as they were told.
func (a *Agent) settle(j *job) {
	s := &j.stay
	if s.reached == s.place {
		return
	}
	for c, p := range j.cells {
		if j.awaited[c] || p != nil && !p.looks && j.pages.Cells.Cell[c].Placed.Load() != s.place {
			return
		}
	}
	if j.lost != (wire.Identity{}) && time.Now().Before(j.until) {
		return // who was there before may come back yet
	}
	whole := s.place-s.reached == 1 // else it was turned around, and some has not moved
	s.reached, s.since = s.place, a.clock()
	s.active = s.since
	if out(s.place) {
		a.bar(j)
		if a.watched() {
			s.doubt = s.since + int64(askedFor)
			a.lookSoon()
		}
	}
	if s.asked > 0 {
		s.took = s.since - s.asked
		if whole {
			a.measure(j, s.took)
		}
	}
	a.log.Info("job moved", "job", j.id, "state", j.state())
}

// bar lets a job that has gone out take nothing, not even such as stays on the
// device, before it has come in; nothing but a context, which has its room.
func (a *Agent) bar(j *job) {
	if j.request.Policy != Lend {
		return
	}
	for i := range j.parts {
		a.lower(j, i, j.remains)
	}
}

// load is how much of a job's memory moves, within what it may have.
func (j *job) load() (bytes uint64) {
	for i, most := range j.most {
		bytes += min(j.sum(i, func(u *wire.Use) uint64 { return u.Swappable.Load() }), most)
	}
	return bytes
}

// measure learns how fast memory moves, from moves large enough to tell.
func (a *Agent) measure(j *job, took int64) {
	bytes := j.load()
	if bytes < 32<<20 || took <= 0 {
		return
	}
	speed := &a.speed[j.stay.place%2] // inward or outward
	if rate := float64(bytes) / float64(took) * 1e9; *speed == 0 {
		*speed = rate
	} else {
		*speed += (rate - *speed) / 4
	}
}

// A job that could not go out is left alone for so long, but by who was promised
// what it has: by them for askAgain, as it says so as often as it likes.
const (
	stuckFor = time.Minute
	askAgain = time.Second
)

// unmoved takes in that a job cannot go out. It stays for a while.
func (a *Agent) unmoved(j *job, place uint32, why string) {
	if a.jobs[j.id] != j || j.stay.place != place || j.state() != Leaving {
		return
	}
	a.log.Warn("job was not swapped out", "job", j.id, "why", why)
	j.stay.stuck, j.stay.held = why, false
	j.stay.until = a.clock() + int64(stuckFor)
	a.move(j)
}

// Ways in which memory moves.
const (
	inward = iota
	outward
)

// cost is how long it takes to move a job out or in, in nanoseconds, by what was
// measured; 0 as long as nothing was.
func (a *Agent) cost(j *job, way int) (ns int64) {
	if speed := a.speed[way]; speed > 0 {
		ns = int64(float64(j.load()) / speed * 1e9)
	}
	return ns
}
