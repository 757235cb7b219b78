package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/weir-gpu/weir/node/wire"
)

// Who has memory on a device is decided here: promises are kept first, what is
// left or idle is lent, and nobody is brought in before there is room.

const (
	idleMemory = 5 * time.Second // a job's memory is idle when it did nothing for so long
	leastStay  = 5 * time.Second // a job that borrows is left alone for so long by its equals
	staysCosts = 10              // and for so many times as long as it takes to move it
)

// most is what a job may have of a device where others leave it.
func (a *Agent) most(j *job, part int) uint64 {
	p := j.parts[part]
	return max(p.Memory, min(j.request.Most, a.opts.Devices[p.Device].Memory))
}

// taken is what a job's processes say that they have of a device, and are about
// to have.
func (j *job) taken(part int) uint64 {
	return add(j.sum(part, func(u *wire.Use) uint64 { return u.Charged.Load() + u.Wanted.Load() }), j.beyond(part))
}

// needs is what a job must have of a device to be there: what it was promised,
// and what it has taken beyond. What it was never given does not count.
func (j *job) needs(part int) uint64 {
	p := j.parts[part]
	return max(p.Memory, min(j.taken(part), max(p.Memory, j.request.Most)))
}

// occupies is what a job has of a device, or may take at any time.
func (j *job) occupies(part int) uint64 {
	if j.state() != Out || now() < j.stay.doubt {
		return max(j.needs(part), j.pages.Rules.Device[part].MemoryLimit.Load())
	}
	return j.remains(part)
}

// over reports whether a job has more of a device than it was promised.
func (j *job) over() bool {
	for i, p := range j.parts {
		if j.needs(i) > p.Memory {
			return true
		}
	}
	return false
}

// reclaim takes back what jobs may have beyond what they were promised, and
// have not taken.
func (a *Agent) reclaim() {
	for _, j := range a.jobs {
		for i, p := range j.parts {
			limit := &j.pages.Rules.Device[i].MemoryLimit
			if limit.Load() <= p.Memory {
				continue
			}
			// First the limit, then a look: who reserves does it the other way round.
			limit.Store(p.Memory)
			limit.Store(j.needs(i))
		}
	}
}

// grant lets those who may burst have what others leave, as long as they leave
// it.
func (a *Agent) grant() {
	for device := range a.opts.Devices {
		var burst []*job
		for _, j := range a.jobs {
			if i := j.part(device); i >= 0 && (j.state() == In || j.state() == Returning) && j.swappable() &&
				j.pages.Rules.Device[i].MemoryLimit.Load() < a.most(j, i) {
				burst = append(burst, j)
			}
		}
		slices.SortFunc(burst, func(x, y *job) int { return cmp.Compare(x.id, y.id) })
		for k, j := range burst {
			i, room := j.part(device), a.room(device)
			if share := room / int64(len(burst)-k); share > 0 {
				limit := &j.pages.Rules.Device[i].MemoryLimit
				limit.Store(min(limit.Load()+uint64(share), a.most(j, i)))
			}
		}
	}
}

// room is what of a device nobody occupies; below zero what it is short of.
func (a *Agent) room(device int) int64 {
	room := int64(a.opts.Devices[device].Memory)
	for _, j := range a.jobs {
		if i := j.part(device); i >= 0 {
			room -= int64(j.occupies(i))
		}
	}
	return room
}

// short is how many bytes a device lacks for a job to come in; 0 or less: none.
func (a *Agent) short(j *job, part int) int64 {
	p := j.parts[part]
	return int64(j.needs(part)) - int64(j.occupies(part)) - a.room(p.Device)
}

func (a *Agent) fits(j *job) bool {
	for i := range j.parts {
		if a.short(j, i) > 0 {
			return false
		}
	}
	return true
}

// arrange lets jobs come in that want to, and makes room for them.
func (a *Agent) arrange() {
	at := now()
	var want []*job
	for _, j := range a.jobs {
		a.settle(j)
		j.look(a, at)
		s := &j.stay
		if j.state() == Out && !s.held && (s.called || j.asleep()) && j.mayComeIn() {
			want = append(want, j)
		}
	}
	slices.SortFunc(want, func(x, y *job) int {
		return cmp.Or(-cmp.Compare(rank(x), rank(y)), cmp.Compare(y.request.Priority, x.request.Priority),
			cmp.Compare(x.stay.since, y.stay.since), cmp.Compare(x.id, y.id))
	})
	if len(want) == 0 {
		a.grant()
		return
	}
	a.reclaim()
	for _, j := range want {
		if a.fits(j) {
			a.move(j)
		} else {
			a.makeRoom(j, at)
		}
	}
}

// rank puts those before others who were promised what they want.
func rank(j *job) int {
	if j.borrows() || j.over() {
		return 0
	}
	return 1
}

// look notes whether a job is at work.
func (j *job) look(a *Agent, at int64) {
	work, busy := uint64(0), j.asleep()
	for i := range j.parts {
		work += j.gone[i].launches + j.sum(i, func(u *wire.Use) uint64 { return u.Launches.Load() + u.Busy.Load() })
		busy = busy || j.hungry(i) || j.seats[i].lease != 0 && j.works(i)
	}
	if busy || work != j.stay.work {
		j.stay.work, j.stay.active = work, at
	}
}

// makeRoom lets others go out so that a job can come in; nobody, where that
// would not be enough.
func (a *Agent) makeRoom(j *job, at int64) {
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
		for _, v := range victims {
			if k := v.part(p.Device); need > 0 && k >= 0 {
				if !slices.Contains(chosen, v) {
					chosen = append(chosen, v)
				}
				need -= int64(v.sheds(k))
			}
		}
		if need > 0 {
			return
		}
	}
	for _, v := range chosen {
		a.move(v)
	}
}

func compareBool(x, y bool) int {
	number := map[bool]int{true: 1}
	return cmp.Compare(number[x], number[y])
}

// sheds is what of a device is free when a job has gone out.
func (j *job) sheds(part int) uint64 {
	fixed := j.sum(part, func(u *wire.Use) uint64 { return u.Charged.Load() - min(u.Charged.Load(), u.Swappable.Load()) })
	all := j.occupies(part)
	return all - min(add(fixed, j.stays(part)), all)
}

// leaving is what will be free of a device when those have gone who are going.
func (a *Agent) leaving(device int) (bytes int64) {
	for _, j := range a.jobs {
		if i := j.part(device); i >= 0 && j.state() == Leaving {
			bytes += int64(j.sheds(i))
		}
	}
	return bytes
}

// idle reports whether a job's memory is.
func (a *Agent) idle(j *job, at int64) bool { return at-j.stay.active >= int64(a.opts.IdleMemory) }

// yields reports whether a job goes out so that another can come in.
func (a *Agent) yields(v, j *job, at int64) bool {
	if v.state() != In || !v.swappable() || at < v.stay.until && rank(j) == 0 {
		return false
	}
	switch {
	case a.idle(v, at):
		return true
	case rank(v) > 0:
		return false // it was promised what it has, and uses it
	case rank(j) > 0 || j.request.Priority > v.request.Priority:
		return true
	case j.request.Priority < v.request.Priority:
		return false
	}
	return at-v.stay.since >= max(int64(a.opts.LeastStay), staysCosts*a.cost(v))
}

// cost is how long it takes to move a job out and in again, in nanoseconds, by
// what was measured; 0 as long as nothing was.
func (a *Agent) cost(j *job) (ns int64) {
	bytes := uint64(0)
	for i := range j.parts {
		bytes += j.sum(i, func(u *wire.Use) uint64 { return u.Swappable.Load() })
	}
	for _, speed := range a.speed {
		if speed > 0 {
			ns += int64(float64(bytes) / speed * 1e9)
		}
	}
	return ns
}

// again is when to arrange anew at the latest, while somebody waits for room: 0
// when nobody does.
func (a *Agent) again() int64 {
	for _, j := range a.jobs {
		if s := &j.stay; j.state() == Out && !s.held && (s.called || j.asleep()) {
			return now() + int64(50*time.Millisecond)
		}
	}
	return 0
}
