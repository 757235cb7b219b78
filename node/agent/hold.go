package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/weir-gpu/weir/node/parts"
)

// A Hold makes a job of somebody who comes and goes, such as a container: the
// job is there until it is dropped, whoever runs.
type Hold struct {
	// By says who holds the job, in the holder's own words. There is one job
	// for each.
	By string `json:"by"`
	// Within are the control groups that processes must be in to connect: of
	// each, one of these words is a part of its path. Empty for any.
	Within []string `json:"within,omitempty"`
}

// Held is a job that is held.
type Held struct {
	ID        string
	By        string
	Door      string // the folder with the job's socket, for who may connect
	Processes int
}

// Hold gives parts of devices to a holder, exactly these. Who holds the same
// already is answered the same: it can be asked again after any failure.
func (a *Agent) Hold(h Hold, r Request, exact []parts.Part) (held Held, err error) {
	r.Hold, r.Devices, r.Policy = &h, len(exact), cmp.Or(r.Policy, Never)
	if err := r.Check(); err != nil {
		return Held{}, err
	}
	if !a.do(func() {
		j := a.heldBy(h.By)
		switch {
		case j == nil:
			j, err = a.hold(r, exact)
		case !slices.Equal(j.parts, exact) || j.request.Mode != r.Mode:
			err = fmt.Errorf("%s holds %+v already, which is not what is asked for now: it has to be dropped first", h.By, j.parts)
		}
		if err == nil {
			held = a.held(j)
		}
	}) {
		err = errStopping
	}
	return held, err
}

var errStopping = errors.New("the agent is stopping: try again")

func (a *Agent) hold(r Request, exact []parts.Part) (*job, error) {
	id := a.newID()
	if err := a.ledger.Give(id, exact); err != nil {
		return nil, err
	}
	return a.found(&job{id: id, request: r, parts: exact, began: time.Now()})
}

// Drop ends a holder's job, if there is one. Who is still connected is so no
// longer.
func (a *Agent) Drop(by string) error {
	if !a.do(func() {
		if j := a.heldBy(by); j != nil {
			a.end(j, "its holder has dropped it")
		}
	}) {
		return errStopping
	}
	return nil
}

// Holds returns all jobs that are held, in order of their IDs.
func (a *Agent) Holds() (all []Held, err error) {
	if !a.do(func() {
		for _, id := range a.ids() {
			if j := a.jobs[id]; j.request.Hold != nil {
				all = append(all, a.held(j))
			}
		}
	}) {
		err = errStopping
	}
	return all, err
}

func (a *Agent) held(j *job) Held {
	h := Held{ID: j.id, By: j.request.Hold.By, Door: a.door(j)}
	for _, p := range j.cells {
		if p != nil {
			h.Processes++
		}
	}
	return h
}

func (a *Agent) heldBy(by string) *job {
	for _, j := range a.jobs {
		if j.request.Hold != nil && j.request.Hold.By == by {
			return j
		}
	}
	return nil
}

// door is the folder with a job's socket. That of a job that is held has
// nothing else in it, as containers see it.
func (a *Agent) door(j *job) string {
	if j.request.Hold != nil {
		return filepath.Join(a.path(j.id), "door")
	}
	return a.path(j.id)
}

// admits reports whether a process may be one of the job's.
func (j *job) admits(pid, uid int) error {
	h := j.request.Hold
	if h == nil {
		if uid != j.request.UID && uid != 0 {
			return fmt.Errorf("process %d belongs to user %d, and the job to %d", pid, uid, j.request.UID)
		}
		return nil
	}
	if len(h.Within) == 0 {
		return nil
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return fmt.Errorf("looking at the control group of process %d: %w", pid, err)
	}
	if !slices.ContainsFunc(h.Within, func(word string) bool { return strings.Contains(string(groups), word) }) {
		return fmt.Errorf("process %d is in none of the control groups of %s", pid, j.request.Name)
	}
	return nil
}
