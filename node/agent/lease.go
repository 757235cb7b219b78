package agent

import (
	"github.com/weir-gpu/weir/node/arbiter"
	"github.com/weir-gpu/weir/node/wire"
)

// part returns which of a job's parts is of a device.
func (j *job) part(device int) int {
	for i, p := range j.parts {
		if p.Device == device {
			return i
		}
	}
	return -1
}

// obey carries out an arbiter's order. It reports whether the arbiter has
// something new to think about at once.
func (a *Agent) obey(device int, o arbiter.Order) (again bool) {
	j := a.jobs[o.ID]
	i := j.part(device)
	s, r := &j.seats[i], &j.pages.Rules.Device[i]
	switch o.Verb {
	case arbiter.Begin:
		if !j.hungry(i) { // who asked has ended or thought better of it
			a.times[device].Done(now(), o.ID)
			return true
		}
		r.LeaseUntil.Store(uint64(o.Until))
		s.lease, s.open = r.Gate.Add(1), true
		s.look = now() + 2*int64(idleAfter)
		wire.Wake(&r.Gate)
	case arbiter.Extend:
		r.LeaseUntil.Store(uint64(o.Until))
	case arbiter.Cut:
		j.shut(i)
		return a.ended(j, i)
	case arbiter.End:
		a.log.Warn("a job goes on beyond its lease; others go on beside it", "job", j.id, "device", device)
		*s = seat{}
	}
	return false
}

// shut lets nothing begin any more.
func (j *job) shut(i int) {
	s, r := &j.seats[i], &j.pages.Rules.Device[i]
	if s.open {
		r.LeaseUntil.Store(0)
		r.Gate.Add(1)
		s.open, s.look = false, 0
		wire.Wake(&r.Gate)
	}
}

// want notes that a process waits for a device.
func (a *Agent) want(j *job, i int) {
	if a.jobs[j.id] == j {
		a.times[j.parts[i].Device].Want(now(), j.id, j.hungry(i))
	}
}

// done looks whether a lease can end: a process says that its work is done, or
// has ended.
func (a *Agent) done(j *job, i int) {
	if a.jobs[j.id] != j {
		return
	}
	if j.seats[i].lease != 0 && !j.works(i) {
		j.shut(i)
		a.ended(j, i)
	}
	a.want(j, i)
}

// ended ends a lease if the work of it is done. Nothing begins any more.
func (a *Agent) ended(j *job, i int) bool {
	s := &j.seats[i]
	if s.lease == 0 || s.open || j.works(i) {
		return false
	}
	*s = seat{}
	a.times[j.parts[i].Device].Done(now(), j.id)
	a.want(j, i) // who did not get to launch in it waits still, and has said so already
	return true
}

// works reports whether a process has launched in the lease, and has not said
// that its work is done.
func (j *job) works(i int) bool {
	for c, p := range j.cells {
		if p == nil {
			continue
		}
		u := &j.pages.Cells.Cell[c].Device[i]
		if lease := j.seats[i].lease; u.Began.Load() == lease && u.Ended.Load() != lease {
			return true
		}
	}
	return false
}

// hungry reports whether a process waits for a lease.
func (j *job) hungry(i int) bool {
	for c, p := range j.cells {
		if p != nil && j.pages.Cells.Cell[c].Device[i].Hungry.Load() != 0 {
			return true
		}
	}
	return false
}

// lookAround ends leases in which nobody has launched.
func (a *Agent) lookAround() {
	at := now()
	for _, j := range a.jobs { // in whatever order: on each device one at most has a lease
		for i := range j.seats {
			s := &j.seats[i]
			if s.look == 0 || s.look > at {
				continue
			}
			s.look = 0
			if s.open && !j.works(i) {
				j.shut(i)
				a.ended(j, i)
			}
		}
	}
}
