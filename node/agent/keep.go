package agent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// kept is what outlives the agent of a job.
type kept struct {
	Request Request      `json:"request"`
	Parts   []parts.Part `json:"parts"`
	Began   time.Time    `json:"began"`
	Devices []string     `json:"devices"` // the parts' universal names: numbers change when a device is lost
	Hold    *Hold        `json:"hold,omitempty"`
	Leader  int          `json:"leader"`
	Started string       `json:"started"` // of the leader
	UID     int          `json:"uid"`
	// Cells is what its processes write in: who comes back shows it.
	Cells wire.Identity `json:"cells"`
	// Where its memory is to be, and what it has of the arena.
	Place    uint32        `json:"place"`
	Held     bool          `json:"held"`
	Reserved uint64        `json:"reserved"`
	Arena    wire.Identity `json:"arena"`
	// Limits are, by part, no less than it may have taken without asking. Only
	// those of jobs that lend change.
	Limits []uint64 `json:"limits"`
}

// keep writes a job down. It is there wholly or not at all.
func (a *Agent) keep(j *job) error {
	if j.request.Hold == nil && j.started == "" {
		since, err := started(j.request.Leader)
		if err != nil {
			return fmt.Errorf("looking at process %d: %w", j.request.Leader, err)
		}
		j.started = since
	}
	cells, err := wire.IdentityOf(j.pages.CellsFile)
	if err != nil {
		return err
	}
	arena := j.stay.lostArena
	if j.stay.arena != nil {
		if arena, err = wire.IdentityOf(j.stay.arena.File); err != nil {
			return err
		}
	}
	return writeDown(filepath.Join(a.path(j.id), "job.json"), kept{
		Request: j.request, Parts: j.parts, Devices: a.names(j.parts), Began: j.began,
		Hold: j.request.Hold, Leader: j.request.Leader, Started: j.started, UID: j.request.UID, Cells: cells,
		Place: j.stay.place, Held: j.stay.held, Reserved: j.stay.reserved, Arena: arena,
		Limits: j.stay.limits,
	})
}

// writeDown replaces a file by what a value is in JSON. It is there wholly or
// not at all.
func writeDown(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// takeOver goes on with the jobs that an agent before this one has left.
func (a *Agent) takeOver() error {
	list, err := os.ReadDir(filepath.Join(a.opts.Dir, "jobs"))
	if err != nil {
		return err
	}
	for _, entry := range list {
		if err := a.adopt(entry.Name()); err != nil {
			a.log.Info("a job of the agent before is over", "job", entry.Name(), "why", err)
			if err := os.RemoveAll(a.path(entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopt goes on with a job, if it still lives.
func (a *Agent) adopt(id string) error {
	if err := own(a.path(id)); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(a.path(id), "job.json"))
	if err != nil {
		return err
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return err
	}
	since := ""
	if k.Hold == nil {
		if since, err = started(k.Leader); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	if err := a.renumber(k.Parts, k.Devices); err != nil {
		return err
	}
	k.Request.Policy = cmp.Or(k.Request.Policy, Never)
	if err := k.Request.Check(); err != nil {
		return err
	}
	give := a.ledger.Give
	if k.Request.Policy == Borrow {
		give = a.ledger.GiveLent
	}
	if err := give(id, k.Parts); err != nil {
		return err
	}
	k.Request.Leader, k.Request.UID, k.Request.Hold = k.Leader, k.UID, k.Hold
	if len(k.Limits) != len(k.Parts) {
		return fmt.Errorf("it has %d limits for %d parts", len(k.Limits), len(k.Parts))
	}
	reached := k.Place
	if k.Place > 0 || k.Reserved > 0 {
		a.lending, reached = true, k.Place-1 // nobody has said so yet
	}
	// Where the program itself has ended, processes that it started may have gone
	// on: they have until then to come back.
	if err := a.open(&job{id: id, request: k.Request, parts: k.Parts, most: a.most(k.Request, k.Parts), began: k.Began, lost: k.Cells,
		started: k.Started, ended: k.Hold == nil && since != k.Started, until: time.Now().Add(2 * time.Second),
		stay: stay{place: k.Place, reached: reached, held: k.Held, since: a.clock(), active: a.clock(),
			reserved: k.Reserved, lostArena: k.Arena, limits: k.Limits}}); err != nil {
		a.ledger.Drop(id)
		return err
	}
	a.log.Info("job goes on", "job", id, "name", k.Request.Name, "pid", k.Leader)
	return nil
}

// names are the universal names of parts' devices.
func (a *Agent) names(list []parts.Part) (names []string) {
	for _, p := range list {
		names = append(names, a.opts.Devices[p.Device].UUID)
	}
	return names
}

// renumber finds the devices of parts by name.
func (a *Agent) renumber(list []parts.Part, names []string) error {
	if len(list) != len(names) {
		return fmt.Errorf("it names %d devices for %d parts", len(names), len(list))
	}
	for i, name := range names {
		list[i].Device = slices.IndexFunc(a.opts.Devices, func(d parts.Device) bool { return d.UUID == name })
		if list[i].Device < 0 {
			return fmt.Errorf("its device %s is gone", name)
		}
	}
	return nil
}

// startTime reads the 22nd field of /proc/pid/stat: when the process began. The
// second, its name, may have spaces and brackets in it.
func startTime(stat string) (string, error) {
	i := strings.LastIndexByte(stat, ')')
	if i < 0 {
		return "", errors.New("/proc/pid/stat has no name in it")
	}
	fields := strings.Fields(stat[i+1:])
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/pid/stat has %d fields after the name", len(fields))
	}
	return fields[19], nil
}
