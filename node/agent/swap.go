package agent

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/wire"
)

// Policies of a job: what may be done with its memory.
const (
	Never  = "never"  // it stays on the device
	Lend   = "lend"   // it is promised, and lent to others while the job is idle
	Borrow = "borrow" // nothing is promised: it has what others leave, and is swapped out when they want it
)

// States of a job's memory.
const (
	In        = "in"
	Leaving   = "leaving"
	Out       = "out"
	Returning = "returning"
)

// stay is where a job's memory is, and is to be.
type stay struct {
	place   uint32 // of the rules: out where it is odd
	reached uint32 // the last place that all its processes have reached
	held    bool   // it stays out until somebody says otherwise
	called  bool   // somebody says that it is to come in
	asked   int64  // when the place was changed
	since   int64  // when it was reached
	active  int64  // when it was last seen at work
	work    uint64 // what it had done then
	stuck   string // why it could not go out last
	until   int64  // it is not asked again before this
	doubt   int64  // until then it is not believed that it is out: the driver is being asked

	arena     *wire.Arena
	reserved  uint64        // bytes of the agent's arena that are its own
	lostArena wire.Identity // that of an agent before this one, until somebody brings it
	ready     bool          // all of the arena is there
	reap      bool          // a process has ended that may own some of it

	limits []uint64 // by part: what it may have had of it without asking, when that was last written down

	swaps int64 // times that it went out
	took  int64 // nanoseconds of the last move
}

func out(place uint32) bool { return place%2 == 1 }

func (j *job) state() string {
	settled := j.stay.reached == j.stay.place
	switch {
	case out(j.stay.place) && settled:
		return Out
	case out(j.stay.place):
		return Leaving
	case settled:
		return In
	}
	return Returning
}

func (j *job) borrows() bool { return j.request.Policy == Borrow }

// mayComeIn reports whether a job may be on the device: what it takes there that
// was not promised to it must be able to go.
func (j *job) mayComeIn() bool {
	return (j.stay.ready || !j.borrows() && j.request.Most == 0) && !j.withholds()
}

// reserve takes a job's part of the arena: all that it may have can be swapped.
func (a *Agent) reserve(j *job) error {
	if j.request.Policy == Never {
		return nil
	}
	need := uint64(0)
	for _, most := range j.most {
		need += (most + wire.Chunk - 1) / wire.Chunk * wire.Chunk
	}
	if left := a.arenaLeft(); need > left {
		return &NoArenaError{Need: need, Left: left, All: a.opts.Arena}
	}
	j.stay.reserved = need
	return nil
}

func (a *Agent) arenaLeft() uint64 {
	left := a.opts.Arena
	for _, j := range a.jobs {
		left -= min(left, j.stay.reserved)
	}
	return left
}

// A NoArenaError says why a job that may be swapped cannot be begun now.
type NoArenaError struct{ Need, Left, All uint64 }

func (e *NoArenaError) Error() string {
	if e.All == 0 {
		return "the agent has no arena, into which a job could be swapped: start it with --arena, such as --arena 8GiB"
	}
	return fmt.Sprintf("the arena must have %d MiB left so that the job can be swapped, where %d of %d MiB are: "+
		"wait until a job ends, ask for less memory, or start the agent with a larger --arena",
		e.Need>>20, e.Left>>20, e.All>>20)
}

// furnish makes a job's arena. It takes a while until it is there.
func (a *Agent) furnish(j *job) error {
	arena, err := wire.NewArena("weir-"+j.id, j.stay.reserved)
	if err != nil {
		return err
	}
	j.stay.arena, j.stay.lostArena = arena, wire.Identity{}
	return a.touch(j)
}

// touch takes the arena's memory from the machine.
func (a *Agent) touch(j *job) error {
	arena := j.stay.arena
	fd, err := unix.FcntlInt(uintptr(arena.File), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	go func() {
		err := wire.Touch(fd)
		a.post(func() {
			unix.Close(fd) // here, as a lock of this process on it would be lost with it
			if err != nil {
				a.log.Error("a job's arena has no memory: it cannot be swapped out", "job", j.id, "error", err)
				return
			}
			j.stay.ready = true
		})
	}()
	return nil
}

// swappable reports whether a job can be swapped out now.
func (j *job) swappable() bool { return j.stay.arena != nil && j.stay.ready }

// waits reports whether a process waits for its memory, or for more of it.
func (j *job) waits() bool {
	for c, p := range j.cells {
		if p != nil && j.pages.Cells.Cell[c].Asleep.Load() != 0 {
			return true
		}
	}
	for i := range j.parts {
		if j.lacks(i) > 0 {
			return true
		}
	}
	return false
}

// Swap is what is asked of a job by hand.
type Swap struct {
	To string `json:"to"` // "in" or "out"
}

// swap does what is asked. It does not wait until it is done.
func (a *Agent) swap(id string, uid int, to string) error {
	j := a.jobs[id]
	switch {
	case j == nil:
		return fmt.Errorf("%w: there is no job %q", errNotFound, id)
	case uid != 0 && uid != j.request.UID:
		return fmt.Errorf("job %s belongs to user %d: ask that user, or root", id, j.request.UID)
	case j.stay.reserved == 0:
		return fmt.Errorf("job %s may not be swapped: begin it with --preemptible or --lend", id)
	case to == In:
		j.stay.held, j.stay.called = false, out(j.stay.place)
		return a.keep(j)
	case to != Out:
		return fmt.Errorf("to is %q: write in or out", to)
	case out(j.stay.place):
		j.stay.held = true
		return a.keep(j)
	case !j.swappable():
		return fmt.Errorf("the arena of job %s is not there yet: try again in a moment", id)
	default:
		j.stay.held, j.stay.stuck = true, ""
		a.move(j)
	}
	return nil
}

var errNotFound = errors.New("not found")
