package agent

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Promises to others hold only if who says that its memory is out has given it
// up. Who was seen with it for a while is ended: there is no other way left.

const (
	keptFor = int64(5 * time.Second)
	slack   = 64 << 20 // what the driver may round up, or take for itself
)

// judge looks whether a job has given up what it says, and keeps to its limit.
func (a *Agent) judge(j *job, at int64) {
	long := at - j.judged
	j.judged = at
	if j.state() == Out && at >= j.stay.since {
		j.stay.doubt = 0
	}
	for i := range j.parts {
		for _, p := range j.cells {
			if p != nil && !p.looks {
				a.judgeProcess(j, i, p, at, long)
			}
		}
		a.judgeLimit(j, i, at, long)
	}
}

func (a *Agent) judgeProcess(j *job, i int, p *process, at, long int64) {
	s, size := &p.seen[i], a.watch.contexts[j.parts[i].Device]
	if s.at != at || !s.known || !size.known || j.state() != Out || at < j.stay.since || j.stay.reserved == 0 {
		return // neither right nor wrong
	}
	u := &j.pages.Cells.Cell[p.cell].Device[i]
	charged, swapped := u.Charged.Load(), u.Swapped.Load()
	may := min(charged-min(charged, swapped), j.fixed(i)) + j.worth(i, p) + slack
	switch {
	case s.bytes <= may:
		s.kept = 0
		return
	case s.kept == 0:
		s.kept = 1
		return
	}
	if s.kept += long; s.kept < keptFor {
		return
	}
	s.kept = 1
	if err := p.end(); err != nil {
		a.log.Error("a process keeps memory that it says is out, and could not be ended", "job", j.id, "pid", p.pid,
			"error", err)
		return
	}
	a.watch.Ended++
	a.log.Warn("a process was ended: it kept memory that it said was out", "job", j.id, "name", j.request.Name,
		"pid", p.pid, "gpu", j.parts[i].Device, "bytes", s.bytes, "may", may)
}

// withholds reports whether a process of the job was seen with what it says is out:
// it does not come in before that is otherwise.
func (j *job) withholds() bool {
	for _, p := range j.cells {
		for i := range j.parts {
			if p != nil && len(p.seen) > 0 && p.seen[i].kept > 0 {
				return true
			}
		}
	}
	return false
}

// judgeLimit says once when a job has more than it may have: it has gone past
// the shim, or makes contexts that are larger than was known. It is not ended
// for that: what it was promised is its own, and what others have is theirs.
func (a *Agent) judgeLimit(j *job, i int, at, long int64) {
	limit := max(j.pages.Rules.Device[i].MemoryLimit.Load(), j.needs(i))
	has, over := j.measured(i, at), &j.exceeds[i]
	switch {
	case has <= add(limit, slack):
		*over = 0
		return
	case *over == 0:
		*over = 1
		return
	}
	before := *over
	if *over += long; before < keptFor && *over >= keptFor {
		a.watch.Beyond++
		a.log.Warn("a job has more of a GPU than its limit, by the driver's word", "job", j.id, "name", j.request.Name,
			"gpu", j.parts[i].Device, "bytes", has, "limit", limit)
	}
}

// end ends a process that the agent admitted: it, and nobody who has its number
// after it.
func (p *process) end() error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	since, err := started(p.pid)
	switch {
	case errors.Is(err, os.ErrProcessDone):
		return nil
	case err != nil:
		return err
	case since != p.started || p.started == "":
		return fmt.Errorf("the number %d is another's now", p.pid)
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
}
