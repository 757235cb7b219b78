package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-gpu/weir/node/arbiter"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// A Request is what is asked for a job.
type Request struct {
	Name     string `json:"name"`
	Devices  int    `json:"devices"`
	Memory   uint64 `json:"memory"`  // bytes, of each device
	Compute  int64  `json:"compute"` // thousandths, of each device
	Mode     string `json:"mode"`    // "strict" or "fair"
	Priority int    `json:"priority"`
	Policy   string `json:"policy"` // "never", "lend" or "borrow"; "" is never
	// Most is up to where it may burst into memory that others leave, in bytes of each device; 0: not at all.
	Most   uint64 `json:"most,omitempty"`
	Leader int    `json:"-"` // the process that it is as long as it lives
	UID    int    `json:"-"` // who may connect
	Hold   *Hold  `json:"-"` // where it has no leader
}

// longestName is that of a container, with its pod and its namespace.
const longestName = 63 + 1 + 253 + 1 + 63

var modes = map[string]wire.Mode{"strict": wire.Strict, "fair": wire.Fair}

// Check returns what is wrong with a request.
func (r *Request) Check() error {
	if _, ok := modes[r.Mode]; !ok {
		return fmt.Errorf("mode is %q: write strict or fair", r.Mode)
	}
	switch r.Policy {
	case "", Never, Lend, Borrow:
	default:
		return fmt.Errorf("policy is %q: write never, lend or borrow", r.Policy)
	}
	if r.Most > 0 && r.Policy != Lend {
		return fmt.Errorf("most is %d and policy %q: what bursts must be such as can be swapped out; write lend",
			r.Most, r.Policy)
	}
	if r.Name == "" || len(r.Name) > longestName {
		return fmt.Errorf("name is %q: write 1 to %d characters", r.Name, longestName)
	}
	return nil
}

// begin gives a job its parts and its socket.
func (a *Agent) begin(r Request) (*job, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	r.Policy = cmp.Or(r.Policy, Never)
	id, take := a.newID(), a.ledger.Take
	if r.Policy == Borrow {
		take = a.ledger.Lend
	}
	promised, err := take(id, parts.Ask{Devices: r.Devices, Memory: r.Memory, Compute: r.Compute, Contexts: a.contexts()})
	if err != nil {
		return nil, err
	}
	return a.found(&job{id: id, request: r, parts: promised, began: time.Now()})
}

// found makes a job of what the ledger has promised to it.
func (a *Agent) found(j *job) (*job, error) {
	j.most = a.most(j.request, j.parts)
	if err := a.reserve(j); err != nil {
		a.ledger.Drop(j.id)
		return nil, err
	}
	a.placeFirst(j)
	if err := a.open(j); err != nil {
		a.ledger.Drop(j.id)
		return nil, err
	}
	if err := a.keep(j); err != nil {
		a.end(j, "it could not be written down")
		return nil, err
	}
	a.log.Info("job began", "job", j.id, "name", j.request.Name, "pid", j.request.Leader, "parts", j.parts,
		"mode", j.request.Mode)
	return j, nil
}

// placeFirst says where a job's memory is when it begins: who finds no room, or may
// not have any before it can be taken back, begins outside.
func (a *Agent) placeFirst(j *job) {
	j.stay.place, j.stay.reached = 1, 1
	j.stay.limits = make([]uint64, len(j.parts))
	j.stay.since, j.stay.active = a.clock(), a.clock() // nobody has lain idle who has just begun
	if !j.mayComeIn() {
		return
	}
	w := j.comesIn()
	if !a.fits(w) {
		a.reclaim()
	}
	if a.fits(w) {
		for i := range j.parts {
			j.stay.limits[i] = w.wants[i]
		}
		j.stay.place, j.stay.reached = 0, 0
	}
}

// newID returns a short name that no job has.
func (a *Agent) newID() string {
	for n := 1; ; n++ {
		id := fmt.Sprintf("j%d", n)
		if _, err := os.Lstat(a.path(id)); a.jobs[id] == nil && errors.Is(err, os.ErrNotExist) {
			return id
		}
	}
}

func (a *Agent) path(id string) string { return filepath.Join(a.opts.Dir, "jobs", id) }

// open makes a job's pages and socket, and lets its processes in.
func (a *Agent) open(j *job) error {
	pages, err := wire.NewPages("weir-" + j.id)
	if err != nil {
		return err
	}
	j.pages, j.seats, j.gone = pages, make([]seat, len(j.parts)), make([]past, len(j.parts))
	j.exceeds, j.recent = make([]int64, len(j.parts)), make([]recent, len(j.parts))
	rules := pages.Rules
	rules.Devices, rules.IdleAfter = uint32(len(j.parts)), uint32(idleAfter/time.Microsecond)
	rules.Beat.Store(uint64(now()))
	rules.Place.Store(j.stay.place)
	rules.Flags = a.flags(j)
	for i, p := range j.parts {
		r := &rules.Device[i]
		r.Ordinal = uint32(a.opts.Devices[p.Device].Ordinal)
		r.MemoryLimit.Store(j.firstLimit(i))
		r.MemoryPromised = j.fixed(i)
		r.Context.Store(a.watch.contexts[p.Device].bytes)
		// What cells say of leases of an agent before means none of this one's.
		r.Gate.Store(uint32(now()/1e6) << 1)
		r.UUID = a.opts.Devices[p.Device].Bytes()
		r.Share, r.Mode = uint32(p.Compute), modes[j.request.Mode]
	}
	if j.stay.reserved > 0 && j.stay.lostArena == (wire.Identity{}) {
		if err := a.furnish(j); err != nil {
			pages.Close()
			return err
		}
	}
	if err := j.listen(a); err != nil {
		j.close()
		return err
	}
	a.jobs[j.id] = j
	mode := map[wire.Mode]arbiter.Mode{wire.Strict: arbiter.Strict, wire.Fair: arbiter.Fair}[modes[j.request.Mode]]
	priority := j.request.Priority
	if j.borrows() {
		priority -= borrowed
	}
	for _, p := range j.parts {
		a.times[p.Device].Set(now(), arbiter.Tenant{ID: j.id, Share: p.Compute, Mode: mode, Priority: priority})
		a.turns(p.Device)
	}
	return nil
}

// firstLimit is what a job may have of a device when its rules are made.
func (j *job) firstLimit(part int) uint64 {
	if j.request.Policy == Lend {
		return j.stay.limits[part]
	}
	return j.parts[part].Memory
}

// borrowed is how far those who borrow stand behind those who were promised.
const borrowed = 1 << 20

// flags is what a job's processes are told of their memory.
func (a *Agent) flags(j *job) (f wire.Flags) {
	if a.opts.Arena > 0 || j.stay.reserved > 0 {
		f |= wire.Moves
	}
	if j.stay.reserved > 0 {
		f |= wire.Swappable
	}
	return f
}

// close gives back the memory of a job that its processes share with the agent.
func (j *job) close() {
	j.pages.Close()
	if j.stay.arena != nil {
		j.stay.arena.Close()
	}
}

// end forgets a job, and closes its socket.
func (a *Agent) end(j *job, why string) {
	j.leave()
	j.close()
	delete(a.jobs, j.id)
	a.ledger.Drop(j.id)
	for _, p := range j.parts {
		a.times[p.Device].Remove(now(), j.id)
		a.turns(p.Device)
	}
	if err := os.RemoveAll(a.path(j.id)); err != nil {
		a.log.Warn("a job's folder could not be removed", "job", j.id, "error", err)
	}
	a.log.Info("job ended", "job", j.id, "why", why)
}
