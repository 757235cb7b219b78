package agent

import (
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/weir-gpu/weir/node/witness"
)

// What the driver says of processes is asked for again and again. A look is
// taken in beside the cells as they are then: what a process has beyond what it
// charges is measured here, and what it does with that is judged in judge.go.

const (
	lookEvery = time.Second
	// lookAgain is how soon, when something is not what it was.
	lookAgain = 200 * time.Millisecond
	// strangeAfter is how long a process must be seen until it is a stranger:
	// who has just ended is seen for a moment, and who comes back to an agent
	// takes its time.
	strangeAfter = comeBack + time.Second
)

// sight is what the driver said of a process on a device, when it was last asked.
type sight struct {
	at    int64 // 0: never
	bytes uint64
	known bool // else the driver cannot say

	last     uint64 // beyond what it charged, in the look before
	agrees   bool   // there was such a look
	contexts uint32 // that it had then
	made     int64  // when it was first seen with so many
	taught   bool   // it was learned from it what a context takes
	kept     int64  // for how long it has kept what it said it had given up
}

// Stranger is a process that has memory of a device, and is of no job there.
type Stranger struct {
	PID   int    `json:"pid"`
	Bytes uint64 `json:"bytes"` // 0 where the driver cannot say
	since int64
	known bool // it was spoken of
}

// Watch is what came of looking at what the driver says of processes.
type Watch struct {
	Blind    bool  `json:"blind,omitempty"` // the driver does not say
	Failures int64 `json:"failures"`        // times that it did not
	Ended    int64 `json:"ended"`           // processes that were ended: they kept memory that they said was out
	Beyond   int64 `json:"beyond"`          // times that a job had more than its limit
}

// strange is what all strangers have of it.
func (d Device) strange() (sum uint64) {
	for _, s := range d.Strangers {
		sum += s.Bytes
	}
	return sum
}

// watch is what the agent knows by the driver's word.
type watch struct {
	Watch
	at        int64               // of the last look that did not fail
	strangers []map[int]*Stranger // by device
	contexts  []contextSize       // by device
	soon      chan struct{}       // somebody wants to know now
}

func newWatch(devices int) watch {
	w := watch{contexts: make([]contextSize, devices), soon: make(chan struct{}, 1)}
	for range devices {
		w.strangers = append(w.strangers, map[int]*Stranger{})
	}
	return w
}

// lookAfter asks the driver until ctx ends. A driver that hangs is waited for
// here, and nowhere else.
func (a *Agent) lookAfter(ctx context.Context) {
	for ctx.Err() == nil {
		var pause time.Duration
		if !a.do(a.beforeLook) {
			return
		}
		look, err := a.opts.Witness(ctx)
		if ctx.Err() != nil || !a.do(func() { pause = a.looked(look, err) }) {
			return
		}
		select {
		case <-time.After(pause):
		case <-a.watch.soon:
		case <-ctx.Done():
		}
	}
}

// lookSoon asks for a look that begins after this.
func (a *Agent) lookSoon() {
	select {
	case a.watch.soon <- struct{}{}:
	default:
	}
}

// watched reports whether the driver answers.
func (a *Agent) watched() bool {
	return a.opts.Witness != nil && a.watch.at > 0 && now()-a.watch.at < int64(3*a.opts.WitnessEvery)
}

// beforeLook notes what processes have said so far.
func (a *Agent) beforeLook() {
	for _, j := range a.jobs {
		for c, p := range j.cells {
			if p != nil {
				p.before, p.asked = j.pages.Cells.Cell[c].Changes.Load(), true
			}
		}
	}
}

// looked takes in a look, and answers when there is to be the next one.
func (a *Agent) looked(l witness.Look, err error) time.Duration {
	if err != nil {
		if a.watch.Failures++; !a.watch.Blind {
			a.log.Warn("the driver does not say what processes have; what they say themselves is believed", "error", err)
		}
		a.watch.Blind = true
		return 5 * a.opts.WitnessEvery
	}
	if a.watch.Blind {
		a.log.Info("the driver says again what processes have")
	}
	a.watch.Blind, a.watch.at = false, l.At
	settled := true
	for d, device := range a.opts.Devices {
		if processes, there := l.Devices[device.UUID]; there {
			settled = a.see(d, processes, l.At) && settled
		}
	}
	for _, j := range a.jobs {
		for _, p := range j.cells {
			if p != nil {
				p.asked = false
			}
		}
		a.judge(j, l.At)
	}
	if !settled {
		return min(lookAgain, a.opts.WitnessEvery)
	}
	return a.opts.WitnessEvery
}

// see takes in what the driver says of a device. It reports whether nothing is
// other than was known.
func (a *Agent) see(device int, processes witness.Processes, at int64) bool {
	rest, settled := maps.Clone(processes), true
	for _, id := range a.ids() {
		j := a.jobs[id]
		i := j.part(device)
		if i < 0 {
			continue
		}
		for _, p := range j.cells {
			if p != nil && !p.looks {
				bytes, there := rest[p.pid] // of who is there twice, the first has it
				delete(rest, p.pid)
				p.seen[i].at, p.seen[i].bytes, p.seen[i].known = at, bytes, !there || bytes != witness.Unknown
				settled = a.measureBeyond(j, i, p) && settled
			}
		}
	}
	for _, id := range a.ids() {
		j := a.jobs[id]
		if i := j.part(device); i >= 0 {
			unseen := &j.pages.Rules.Device[i].Unseen
			bytes := j.unseen(rest)
			settled = settled && bytes == unseen.Load()
			unseen.Store(bytes)
		}
	}
	a.meet(device, rest, at)
	return settled
}

// unseen is what processes of a job have that have not said hello, or take no
// memory by their own word. They are in no list of strangers any more.
func (j *job) unseen(rest witness.Processes) (sum uint64) {
	for _, pid := range slices.Sorted(maps.Keys(rest)) {
		if j.owns(pid) {
			if rest[pid] != witness.Unknown {
				sum = add(sum, rest[pid])
			}
			delete(rest, pid)
		}
	}
	return sum
}

// owns reports whether a process is one of a job's for sure: it is connected, or
// in a control group that is the job's alone.
func (j *job) owns(pid int) bool {
	for _, p := range j.cells {
		if p != nil && p.pid == pid {
			return true
		}
	}
	return j.request.Hold != nil && len(j.request.Hold.Within) > 0 && j.admits(pid, 0) == nil
}

// meet keeps the list of strangers on a device, and says once of each that it
// is there.
func (a *Agent) meet(device int, rest witness.Processes, at int64) {
	list := a.watch.strangers[device]
	maps.DeleteFunc(list, func(pid int, _ *Stranger) bool { _, there := rest[pid]; return !there })
	for pid, bytes := range rest {
		s := list[pid]
		if s == nil {
			s = &Stranger{PID: pid, since: at}
			list[pid] = s
		}
		if s.Bytes = 0; bytes != witness.Unknown {
			s.Bytes = bytes
		}
		if !s.known && at-s.since >= int64(strangeAfter) {
			s.known = true
			a.log.Warn("a process of no job has memory of a GPU", "gpu", device, "pid", pid, "bytes", s.Bytes)
		}
	}
}

// strangers are those of a device, in order.
func (a *Agent) strangers(device int) (list []Stranger) {
	for _, pid := range slices.Sorted(maps.Keys(a.watch.strangers[device])) {
		if s := a.watch.strangers[device][pid]; s.known {
			list = append(list, *s)
		}
	}
	return list
}

// add adds numbers that containers may have written.
func add(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint64
}
