package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/weir-gpu/weir/node/wire"
)

// The driver takes memory for a process that its cell does not charge: contexts,
// code, what it rounds up. It is measured, and is in all of the job's sums.

// contextSize is what the driver takes for a context of a device.
type contextSize struct {
	bytes uint64
	known bool // it was stated, or seen
}

// mostContext is the most that is believed of a context: what a process has
// taken past the shim before it was looked at is not to be every other's burden.
const mostContext = 1 << 30

// making is how long a context may be on its way. A process counts it before it
// asks the driver, which takes a while until it has all of it: what it is seen
// with meanwhile is not what it will have.
const making = int64(time.Second)

// measureBeyond takes in what a process was seen with, if it changed nothing
// itself meanwhile. What has moved counts when two looks agree on it: what a
// process has just taken is charged a moment before or after the driver knows.
// It reports whether nothing is other than was known.
func (a *Agent) measureBeyond(j *job, i int, p *process) bool {
	cell, s := &j.pages.Cells.Cell[p.cell], &p.seen[i]
	u := &cell.Device[i]
	contexts, charged, swapped := u.Contexts.Load(), u.Charged.Load(), u.Swapped.Load()
	// Who changes something counts that before it does: these are as they were.
	if !s.known || !p.asked || cell.Changes.Load() != p.before || u.Wanted.Load() != 0 || contexts > wire.MostContexts {
		s.agrees = false
		return true // the next look is as good as any
	}
	if j.state() != In { // else it has nothing with the host, whatever it says
		charged -= min(charged, swapped)
	}
	got := s.bytes - min(s.bytes, charged)
	is := j.pages.Rules.Beyond(i, p.cell, contexts)
	last, agrees := s.last, s.agrees
	s.last, s.agrees = got, true
	if contexts != s.contexts {
		s.contexts, s.made = contexts, s.at
	}
	long := s.at-s.made >= making
	made := long && (got > 0 || contexts == 0)
	switch {
	case got < is && !made:
		return long
	case got == is:
	case agrees && got > is && last > is:
		got = min(got, last)
	case agrees && got < is && last < is:
		got = max(got, last)
	default:
		return false
	}
	j.pages.Rules.SetBeyond(i, p.cell, contexts, got)
	if j.state() == In && made && contexts > 0 {
		if !s.taught && contexts == 1 {
			a.learn(j.parts[i].Device, got)
		}
		s.taught = true
	}
	return got == is
}

// learn takes in what a process has that has just made a context.
func (a *Agent) learn(device int, bytes uint64) {
	bytes = min(bytes, mostContext)
	c := &a.watch.contexts[device]
	if a.opts.Context > 0 || c.known && bytes <= c.bytes {
		return
	}
	*c = contextSize{bytes, true}
	a.log.Info("learned what a context takes", "gpu", device, "bytes", bytes)
	if err := a.keepContexts(); err != nil {
		a.log.Warn("what a context takes could not be written down", "error", err)
	}
	for _, j := range a.jobs {
		if i := j.part(device); i >= 0 {
			j.pages.Rules.Device[i].Context.Store(bytes)
			a.promiseContext(j, i)
		}
	}
}

// promiseContext gives a job that borrows the promise of one context, if it was
// begun before it was known what that takes, and if there is room for it.
func (a *Agent) promiseContext(j *job, i int) {
	p := &j.parts[i]
	bytes := a.watch.contexts[p.Device].bytes
	if !j.borrows() || !a.ledger.Promise(j.id, p.Device, bytes) {
		return
	}
	p.Context = bytes
	atomic.StoreUint64(&j.pages.Rules.Device[i].MemoryPromised, bytes)
	if err := a.keep(j); err != nil {
		a.log.Warn("a job's promise could not be written down", "job", j.id, "error", err)
	}
}

// contextsFile is what a context takes, by the universal names of devices: an
// agent that comes back knows it.
const contextsFile = "contexts.json"

func (a *Agent) keepContexts() error {
	known := map[string]uint64{}
	for d, c := range a.watch.contexts {
		if c.known {
			known[a.opts.Devices[d].UUID] = c.bytes
		}
	}
	return writeDown(filepath.Join(a.opts.Dir, contextsFile), known)
}

// readContexts takes over what an agent before has learned, or what is stated.
func (a *Agent) readContexts() error {
	known := map[string]uint64{}
	text, err := os.ReadFile(filepath.Join(a.opts.Dir, contextsFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := json.Unmarshal(text, &known); err != nil {
			return fmt.Errorf("%s cannot be read (%w): remove it", contextsFile, err)
		}
	}
	for d, device := range a.opts.Devices {
		c := &a.watch.contexts[d]
		if c.bytes, c.known = known[device.UUID]; a.opts.Context > 0 {
			*c = contextSize{a.opts.Context, true}
		}
	}
	return nil
}

// contexts are what contexts take, by device.
func (a *Agent) contexts() (bytes []uint64) {
	for _, c := range a.watch.contexts {
		bytes = append(bytes, c.bytes)
	}
	return bytes
}

// beyond is what a job has of a device beyond what its processes charge.
func (j *job) beyond(part int) uint64 {
	if j.pages == nil {
		return 0 // it has not begun
	}
	sum := j.pages.Rules.Device[part].Unseen.Load()
	for c, cell := range j.counted() {
		sum = add(sum, j.pages.Rules.Beyond(part, c, cell.Device[part].Contexts.Load()))
	}
	return sum
}

// A process may keep what it has beyond its charges when it goes out, up to so
// many times what its contexts take: the code that they load is not much more.
const (
	contextsWorth = 4
	mostWorth     = 4 // contexts that count
)

// contexts is what the contexts of a process are expected to take.
func (j *job) contexts(part int, p *process) uint64 {
	contexts := j.pages.Cells.Cell[p.cell].Device[part].Contexts.Load()
	return uint64(max(1, min(contexts, mostWorth))) * j.pages.Rules.Device[part].Context.Load()
}

// worth is the most that a process may have beyond its charges when it is out.
func (j *job) worth(part int, p *process) uint64 { return contextsWorth * j.contexts(part, p) }

// stays is what of a job's memory beyond its charges is expected to be there
// when it has gone out: contexts. It is seen then what really is.
func (j *job) stays(part int) uint64 {
	sum := j.pages.Rules.Device[part].Unseen.Load()
	for c, p := range j.cells {
		if p != nil {
			contexts := j.pages.Cells.Cell[c].Device[part].Contexts.Load()
			sum = add(sum, min(j.pages.Rules.Beyond(part, c, contexts), j.contexts(part, p)))
		}
	}
	return sum
}

// measured is what the driver said that a job has of a device, in looks that
// began at a time or after it.
func (j *job) measured(part int, since int64) (sum uint64) {
	for _, p := range j.cells {
		if p != nil && len(p.seen) > 0 && p.seen[part].known && p.seen[part].at >= since {
			sum = add(sum, p.seen[part].bytes)
		}
	}
	return add(sum, j.pages.Rules.Device[part].Unseen.Load())
}

// remains is what a job has of a device that is out: what it says, within what
// it was promised, and what the driver says if that is more. There is always
// room for one context, which can be made at any time and cannot leave.
func (j *job) remains(part int) uint64 {
	if j.pages == nil {
		return 0
	}
	p := j.parts[part]
	said := j.resident(part)
	one := max(p.Context, min(j.pages.Rules.Device[part].Context.Load(), p.Memory))
	if j.borrows() {
		one = p.Context
	}
	return max(one, min(said, max(p.Memory, p.Context)), j.measured(part, j.stay.since))
}
