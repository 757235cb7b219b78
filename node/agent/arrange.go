package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-gpu/weir/node/wire"
)

// Who has memory on a device is decided here: promises are kept first, what is
// left, idle or not taken is lent, and nobody is brought in before there is
// room.

// arrange lets jobs come in that want to, and have what they were promised, and
// makes room for them.
func (a *Agent) arrange() {
	at := a.clock()
	clear(a.claimed)
	var want []*job
	for _, j := range a.jobs {
		a.settle(j)
		j.look(a, at)
		j.remember(a, at)
		if j.calls() && j.mayComeIn() || j.asks() {
			want = append(want, j)
		}
	}
	if len(want) == 0 {
		a.grant()
		return
	}
	slices.SortFunc(want, func(x, y *job) int {
		return cmp.Or(-cmp.Compare(claim(x), claim(y)), cmp.Compare(y.request.Priority, x.request.Priority),
			cmp.Compare(x.stay.since, y.stay.since), cmp.Compare(x.id, y.id))
	})
	for _, j := range want {
		if a.satisfy(j) {
			continue
		}
		a.reclaim()
		if !a.satisfy(j) && a.makeRoom(j, at) {
			a.keepFree(j)
		}
	}
	clear(a.claimed)
}

// calls reports whether a job that is out wants to come in.
func (j *job) calls() bool {
	return j.state() == Out && !j.stay.held && (j.stay.called || j.waits())
}

// satisfy gives a job what it wants, if there is room.
func (a *Agent) satisfy(j *job) bool {
	if j.state() != Out {
		return a.give(j)
	}
	if !a.fits(j) {
		return false
	}
	a.move(j)
	return true
}

// keepFree keeps the room that is being made for a job from those behind it.
func (a *Agent) keepFree(j *job) {
	for i, p := range j.parts {
		a.claimed[p.Device] += max(0, int64(j.wants(i))-int64(j.occupies(i)))
	}
}

// rank puts those who were promised what they have before others.
func rank(j *job) int {
	if j.borrows() || j.over() {
		return 0
	}
	return 1
}

// claim puts those before others who were promised what they want.
func claim(j *job) int {
	if j.asks() {
		return 1
	}
	return rank(j)
}

// look notes whether a job is at work.
func (j *job) look(a *Agent, at int64) {
	work, busy := uint64(0), j.waits()
	for i := range j.parts {
		work += j.gone[i].launches + j.sum(i, func(u *wire.Use) uint64 { return u.Launches.Load() + u.Busy.Load() })
		busy = busy || j.hungry(i) || j.seats[i].lease != 0 && j.works(i)
	}
	if busy || work != j.stay.work {
		j.stay.work, j.stay.active = work, at
	}
}

// makeRoom lets others go out so that a job has what it wants; nobody, where
// that would not be enough. It reports whether there will be room.
func (a *Agent) makeRoom(j *job, at int64) bool {
	var victims []*job
	for _, v := range a.jobs {
		if v != j && a.yields(v, j, at) {
			victims = append(victims, v)
		}
	}
	slices.SortFunc(victims, func(x, y *job) int {
		return cmp.Or(
			compareBool(a.idle(y, at), a.idle(x, at)), // who is idle goes first
			cmp.Compare(rank(x), rank(y)),             // then who borrows
			cmp.Compare(x.request.Priority, y.request.Priority),
			cmp.Compare(x.stay.active, y.stay.active),
			cmp.Compare(x.stay.since, y.stay.since),
			cmp.Compare(x.id, y.id))
	})
	var chosen []*job
	for i, p := range j.parts {
		need := a.short(j, i) - a.leaving(p.Device)
		for _, v := range chosen {
			if k := v.part(p.Device); k >= 0 {
				need -= int64(v.sheds(k))
			}
		}
		for _, v := range victims {
			if k := v.part(p.Device); need > 0 && k >= 0 && !slices.Contains(chosen, v) {
				chosen = append(chosen, v)
				need -= int64(v.sheds(k))
			}
		}
		if need > 0 {
			return false
		}
	}
	for _, v := range chosen {
		a.move(v)
	}
	return true
}

func compareBool(x, y bool) int {
	number := map[bool]int{true: 1}
	return cmp.Compare(number[x], number[y])
}

// idle reports whether a job's memory is.
func (a *Agent) idle(j *job, at int64) bool { return at-j.stay.active >= int64(a.opts.IdleMemory) }

// yields reports whether a job goes out so that another has what it wants.
func (a *Agent) yields(v, j *job, at int64) bool {
	if v.state() != In || !v.swappable() || at < v.stay.until && claim(j) == 0 {
		return false
	}
	switch {
	case a.idle(v, at):
		return true
	case rank(v) > 0:
		return false // it was promised what it has, and uses it
	case claim(j) > 0 || j.request.Priority > v.request.Priority:
		return true
	case j.request.Priority < v.request.Priority:
		return false
	}
	costs := a.cost(v, outward) + a.cost(v, inward)
	return at-v.stay.since >= max(int64(a.opts.LeastStay), staysCosts*costs)
}

// again is when to arrange anew at the latest, while somebody waits for room: 0
// when nobody does.
func (a *Agent) again() int64 {
	for _, j := range a.jobs {
		if j.calls() || j.asks() {
			return a.clock() + int64(50*time.Millisecond)
		}
	}
	return 0
}
