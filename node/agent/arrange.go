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

// wish is what a job wants of its devices, by one reading of its cells.
type wish struct {
	*job
	wants []uint64 // by part: to have it in all
	claim int      // 1 where it was promised all of that
}

// victim is who may go out for somebody, as it was when that was asked.
type victim struct {
	*job
	idle bool
	rank int
}

// arrange lets jobs come in that want to, and have what they were promised, and
// makes room for them.
func (a *Agent) arrange() {
	at := a.clock()
	clear(a.claimed)
	var want []wish
	for _, j := range a.jobs {
		a.settle(j)
		j.look(a, at)
		j.remember(a, at)
		if j.calls() && j.mayComeIn() {
			want = append(want, j.comesIn())
		} else if wants := j.asks(); wants != nil {
			want = append(want, wish{j, wants, 1})
		}
	}
	if len(want) == 0 {
		a.grant()
		return
	}
	slices.SortFunc(want, func(x, y wish) int {
		return cmp.Or(-cmp.Compare(x.claim, y.claim), cmp.Compare(y.request.Priority, x.request.Priority),
			cmp.Compare(x.stay.since, y.stay.since), cmp.Compare(x.id, y.id))
	})
	for _, w := range want {
		if a.satisfy(w) {
			continue
		}
		a.reclaim()
		if !a.satisfy(w) && a.makeRoom(w, at) {
			a.keepFree(w)
		}
	}
	clear(a.claimed)
}

// comesIn is what a job wants that is out.
func (j *job) comesIn() wish {
	w := wish{j, make([]uint64, len(j.parts)), 1}
	for i, p := range j.parts {
		w.wants[i] = j.needs(i)
		if j.borrows() || w.wants[i] > p.Memory {
			w.claim = 0
		}
	}
	return w
}

// calls reports whether a job that is out wants to come in.
func (j *job) calls() bool {
	return j.state() == Out && !j.stay.held && (j.stay.called || j.waits())
}

// satisfy gives a job what it wants, if there is room.
func (a *Agent) satisfy(w wish) bool {
	if w.state() != Out {
		return a.give(w)
	}
	if !a.fits(w) {
		return false
	}
	a.move(w.job)
	return true
}

// keepFree keeps the room that is being made for a job from those behind it.
func (a *Agent) keepFree(w wish) {
	for i, p := range w.parts {
		a.claimed[p.Device] += max(0, int64(w.wants[i])-int64(w.occupies(i)))
	}
}

// rank puts those who were promised what they have before others.
func rank(j *job) int {
	if j.borrows() || j.over() {
		return 0
	}
	return 1
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
func (a *Agent) makeRoom(w wish, at int64) bool {
	var victims []victim
	for _, j := range a.jobs {
		if v := (victim{j, a.idle(j, at), rank(j)}); j != w.job && a.yields(v, w, at) {
			victims = append(victims, v)
		}
	}
	slices.SortFunc(victims, func(x, y victim) int {
		return cmp.Or(
			// Who could not go a moment ago will not: it is asked where nobody else is left.
			compareBool(at < x.stay.until, at < y.stay.until),
			compareBool(y.idle, x.idle), // who is idle goes first
			cmp.Compare(x.rank, y.rank), // then who borrows
			cmp.Compare(x.request.Priority, y.request.Priority),
			cmp.Compare(x.stay.active, y.stay.active),
			cmp.Compare(x.stay.since, y.stay.since),
			cmp.Compare(x.id, y.id))
	})
	var chosen []*job
	for i, p := range w.parts {
		need := a.short(w, i) - a.leaving(p.Device, at)
		for _, v := range chosen {
			if k := v.part(p.Device); k >= 0 {
				need -= int64(v.sheds(k))
			}
		}
		for _, v := range victims {
			if k := v.part(p.Device); need > 0 && k >= 0 && !slices.Contains(chosen, v.job) {
				chosen = append(chosen, v.job)
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
func (a *Agent) yields(v victim, w wish, at int64) bool {
	state := v.state()
	if state != In && state != Returning || !v.swappable() {
		return false
	}
	if left := v.stay.until - at; left > 0 && w.claim == 0 || left > int64(stuckFor-askAgain) {
		return false
	}
	switch {
	case v.rank == 0 && w.claim > 0:
		return true // on its way in, too, which may take it long
	case state == Returning && !a.late(v.job, at):
		return false
	case v.idle:
		return true
	case v.rank > 0:
		return false // it was promised what it has, and uses it
	case w.request.Priority > v.request.Priority:
		return true
	case w.request.Priority < v.request.Priority:
		return false
	}
	costs := a.cost(v.job, outward) + a.cost(v.job, inward)
	return at-v.stay.since >= max(int64(a.opts.LeastStay), staysCosts*costs)
}

// again is when to arrange anew at the latest, while somebody waits for room: 0
// when nobody does.
func (a *Agent) again() int64 {
	for _, j := range a.jobs {
		if j.calls() || j.asks() != nil {
			return a.clock() + int64(50*time.Millisecond)
		}
	}
	return 0
}
