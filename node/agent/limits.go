package agent

import (
	"cmp"
	"slices"

	"github.com/weir-gpu/weir/node/wire"
)

// The limit of a job that lends is what it may take without asking: all that it
// was promised and more, as long as nobody else wants it, and what it has taken
// with a cushion otherwise. Of others the limit is what they were promised, or
// borrow.

// recent is the most that a job had of a device lately.
type recent struct {
	bytes uint64
	at    int64
}

// remember notes what a job has.
func (j *job) remember(a *Agent, at int64) {
	for i := range j.parts {
		r, has := &j.recent[i], j.taken(i)+j.lacks(i)
		if has >= r.bytes || at-r.at >= int64(a.opts.IdleMemory) {
			*r = recent{has, at}
		}
	}
}

// raise lets a job have more of a device without asking, and wakes who waits
// for that. It is written down first: an agent that comes back counts with no
// less than processes may have taken meanwhile.
func (a *Agent) raise(j *job, part int, to uint64) {
	if to <= j.limit(part) {
		return
	}
	j.stay.limits[part] = to
	a.write(j)
	j.pages.Rules.Device[part].MemoryLimit.Store(to)
	j.pages.Rules.Raised.Add(1)
	wire.Wake(&j.pages.Rules.Raised)
}

// lower takes back what a job may have and has not taken. What it had at an
// agent before is known when all its processes are back: until then they may
// take as much as that one let them.
func (a *Agent) lower(j *job, part int, to func(part int) uint64) {
	had, low := j.limit(part), to(part)
	if !j.until.IsZero() || low >= had {
		return
	}
	// First the limit, then a look: who reserves does it the other way round.
	limit := &j.pages.Rules.Device[part].MemoryLimit
	limit.Store(low)
	if now := min(had, to(part)); now > low {
		limit.Store(now)
		low = now
	}
	if low < had {
		j.stay.limits[part] = low
		a.write(j)
	}
}

func (a *Agent) write(j *job) {
	if err := a.keep(j); err != nil {
		a.log.Warn("what a job may have could not be written down", "job", j.id, "error", err)
	}
}

// reclaim takes back what jobs that lend may have, and have not taken.
func (a *Agent) reclaim() {
	for _, j := range a.jobs {
		if j.state() == Out {
			a.bar(j) // it may have freed some
			continue
		}
		if j.request.Policy != Lend {
			continue
		}
		for i := range j.parts {
			a.lower(j, i, j.keeps)
		}
	}
}

// give lets a job have what it asks for of its promise, as far as there is
// room. It reports whether that is all.
func (a *Agent) give(w wish) (all bool) {
	all = true
	for i, p := range w.parts {
		want, left := int64(w.wants[i]), a.left(p.Device, w.job)
		switch {
		case want <= int64(w.limit(i)):
		case want > left:
			all = false
		default:
			a.raise(w.job, i, uint64(min(left, max(want, int64(w.needs(i))))))
		}
	}
	return all
}

// grant lets jobs have what nobody wants, as long as nobody does: those who lend
// what they were promised, and then those who may burst what is left.
func (a *Agent) grant() {
	for device := range a.opts.Devices {
		a.share(device, func(j *job, part int) uint64 { return j.parts[part].Memory })
		a.share(device, func(j *job, part int) uint64 {
			if !j.swappable() {
				return 0
			}
			return j.most[part]
		})
	}
}

// share divides what is left of a device between jobs that may have more of it.
func (a *Agent) share(device int, upTo func(j *job, part int) uint64) {
	var more []*job
	for _, j := range a.jobs {
		i := j.part(device)
		if i >= 0 && (j.state() == In || j.state() == Returning) && j.request.Policy == Lend && j.limit(i) < upTo(j, i) {
			more = append(more, j)
		}
	}
	slices.SortFunc(more, func(x, y *job) int { return cmp.Compare(x.id, y.id) })
	for k, j := range more {
		i := j.part(device)
		if part := a.left(device, nil) / int64(len(more)-k); part > 0 {
			a.raise(j, i, min(j.limit(i)+uint64(part), upTo(j, i)))
		}
	}
}
