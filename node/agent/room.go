package agent

import (
	"iter"
	"time"

	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// What jobs have of a device, may have and need is counted here; arrange.go
// decides by it. In all of it, who says something in its cells writes it before
// it reads its limit, and the agent writes a limit before it reads cells. They
// write all the while: what is decided by a number is decided by one reading of
// it, and a limit goes up to what others leave, whatever the job itself says.

const (
	idleMemory = 5 * time.Second // a job's memory is idle when it did nothing for so long
	leastStay  = 5 * time.Second // a job that borrows is left alone for so long by its equals
	staysCosts = 10              // and for so many times as long as it takes to move it
	// movesWithin is how long one that was told to go out or in is waited for, if its memory moves within that.
	movesWithin = int64(30 * time.Second)
)

// cushion is what a job may take without asking while others have what it has
// not taken: small allocations are not to wait. It is lost to the others, so it
// is little beside what they may have.
func cushion(promised uint64) uint64 { return min(64<<20, promised/16) }

// most is what a job may have of its devices where others leave it.
func (a *Agent) most(r Request, promised []parts.Part) (most []uint64) {
	for _, p := range promised {
		most = append(most, max(p.Memory, min(r.Most, a.opts.Devices[p.Device].Memory)))
	}
	return most
}

// counted are the cells of a job that are in its sums, by their numbers: of
// processes that are there, or may come back yet.
func (j *job) counted() iter.Seq2[int, *wire.Cell] {
	return func(yield func(int, *wire.Cell) bool) {
		for c, p := range j.cells {
			if (p != nil || j.awaited[c]) && !yield(c, &j.pages.Cells.Cell[c]) {
				return
			}
		}
	}
}

// sum adds up what a job's processes have of a device.
func (j *job) sum(part int, of func(*wire.Use) uint64) (n uint64) {
	for _, cell := range j.counted() {
		n = add(n, of(&cell.Device[part]))
	}
	return n
}

// taken is what a job's processes say that they have of a device, and are about
// to have, wherever it is, and what the driver takes beyond that. A wish is read
// before the charge, or the context, that it becomes: it is seen as one or as
// both, never as neither.
func (j *job) taken(part int) uint64 {
	all := j.sum(part, func(u *wire.Use) uint64 {
		wanted := u.Wanted.Load()
		return add(wanted, u.Charged.Load())
	})
	return add(all, j.beyond(part))
}

// resident is what of that is not with the host, when it has gone out.
func (j *job) resident(part int) uint64 {
	all := j.sum(part, func(u *wire.Use) uint64 {
		wanted := u.Wanted.Load()
		all := add(wanted, u.Charged.Load())
		return all - min(all, u.Swapped.Load())
	})
	return add(min(all, j.fixed(part)), j.beyond(part))
}

// fixed is the most that a job may have of a device that cannot be swapped, beside
// contexts, whatever it says: the shim takes no more of that than was promised.
func (j *job) fixed(part int) uint64 {
	if j.borrows() {
		return j.parts[part].Context
	}
	return j.parts[part].Memory
}

// lacks is what of its promise a job's processes wait for.
func (j *job) lacks(part int) (bytes uint64) {
	for _, cell := range j.counted() {
		bytes += wire.Chunk * uint64(cell.Lacks[part].Load())
	}
	return bytes
}

// limit is what a job may have of a device without asking: nothing before it has
// begun.
func (j *job) limit(part int) uint64 {
	if j.pages == nil {
		return 0
	}
	return j.pages.Rules.Device[part].MemoryLimit.Load()
}

// goal is what a job is to have of a device at once: what it has taken and what
// of its promise it asks for. Beyond its promise it keeps what it has. Jobs that
// do not lend have theirs whole.
func (j *job) goal(part int) uint64 {
	promised := j.parts[part].Memory
	if j.request.Policy != Lend {
		return promised
	}
	if taken := j.taken(part); taken > promised {
		return min(taken, j.most[part])
	} else {
		return min(promised, taken+j.lacks(part))
	}
}

// needs is what a job must have of a device to be there, with what it may take
// without asking.
func (j *job) needs(part int) uint64 {
	goal, promised := j.goal(part), j.parts[part].Memory
	return max(goal, min(promised, goal+cushion(promised)))
}

// keeps is what a job keeps while others want what it has not taken. What it
// has given back is its own for as long as until memory counts as idle: one
// that takes the same again and again does not send others out each time.
func (j *job) keeps(part int) uint64 {
	promised := j.parts[part].Memory
	return max(j.needs(part), min(promised, j.recent[part].bytes+cushion(promised)))
}

// occupies is what a job has of a device, or may take at any time.
func (j *job) occupies(part int) uint64 {
	if j.state() != Out || now() < j.stay.doubt {
		return max(j.limit(part), min(j.taken(part), j.most[part]))
	}
	if j.request.Policy == Lend {
		return max(j.limit(part), j.remains(part))
	}
	return j.remains(part)
}

// over reports whether a job has more of a device than it was promised.
func (j *job) over() bool {
	for i, p := range j.parts {
		if j.goal(i) > p.Memory {
			return true
		}
	}
	return false
}

// asks is what a job that is on its devices is to have at once, by part, if it
// waits for some of that: within what it was promised. Nil: it does not.
func (j *job) asks() (wants []uint64) {
	if s := j.state(); s != In && s != Returning || j.request.Policy != Lend {
		return nil
	}
	waits := false
	for i, p := range j.parts {
		want := min(j.goal(i), p.Memory)
		wants = append(wants, want)
		waits = waits || j.lacks(i) > 0 && want > j.limit(i)
	}
	if !waits {
		return nil
	}
	return wants
}

// left is what a job may have of a device beside what others occupy, and what is
// being made free for somebody; below zero what these are short of. For no job,
// it is what nobody occupies.
func (a *Agent) left(device int, but *job) int64 {
	left := int64(a.opts.Devices[device].Memory) - a.claimed[device]
	for _, j := range a.jobs {
		if i := j.part(device); i >= 0 && j != but {
			left -= int64(j.occupies(i))
		}
	}
	return left
}

// short is how many bytes a device lacks for what a job wants; 0 or less: none.
func (a *Agent) short(w wish, part int) int64 {
	return int64(w.wants[part]) - a.left(w.parts[part].Device, w.job)
}

func (a *Agent) fits(w wish) bool {
	for i := range w.parts {
		if a.short(w, i) > 0 {
			return false
		}
	}
	return true
}

// sheds is what of a device is free when a job has gone out.
func (j *job) sheds(part int) uint64 {
	fixed := j.sum(part, func(u *wire.Use) uint64 {
		charged := u.Charged.Load()
		return charged - min(charged, u.Swappable.Load())
	})
	all := j.occupies(part)
	return all - min(add(min(fixed, j.fixed(part)), j.stays(part)), all)
}

// leaving is what will be free of a device when those have gone who are going.
// Who is late is not waited for alone.
func (a *Agent) leaving(device int, at int64) (bytes int64) {
	for _, j := range a.jobs {
		if i := j.part(device); i >= 0 && j.state() == Leaving && !a.late(j, at) {
			bytes += int64(j.sheds(i))
		}
	}
	return bytes
}

// late reports whether a job should have moved long ago, as it was told: by now it
// may be stopped.
func (a *Agent) late(j *job, at int64) bool {
	return at-max(j.stay.asked, j.stay.since) >= max(movesWithin, staysCosts*a.cost(j, int(j.stay.place%2)))
}

// lent is what of a job's promise others have, or may have.
func (j *job) lent(part int) uint64 {
	if j.request.Policy != Lend {
		return 0
	}
	promised := j.parts[part].Memory
	return promised - min(promised, j.occupies(part))
}

// lendable is what one who borrows could have of a device now, with nobody who
// is at work going out.
func (a *Agent) lendable(device int, at int64) (bytes uint64) {
	room := int64(a.opts.Devices[device].Memory)
	for _, j := range a.jobs {
		i := j.part(device)
		if i < 0 {
			continue
		}
		has := j.occupies(i)
		switch {
		case j.state() == In && j.swappable() && a.idle(j, at):
			has -= min(has, j.sheds(i))
		case j.state() != Out && j.request.Policy == Lend:
			has = min(has, j.keeps(i))
		}
		room -= int64(has)
	}
	return uint64(max(0, room))
}
