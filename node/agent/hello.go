package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/wire"
)

// caller says who has connected, by the kernel's word.
func caller(conn *net.UnixConn) (p *process, uid int, err error) {
	p = &process{cell: -1, conn: conn}
	if p.pid, uid, err = wire.Peer(conn); err != nil {
		return nil, 0, err
	}
	if p.started, err = started(p.pid); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return nil, 0, err
	}
	return p, uid, nil
}

// lives reports whether a process has not ended, as far as the agent can know: its
// connection may go on without it, where another one has inherited that.
func (p *process) lives() bool {
	since, err := started(p.pid)
	if errors.Is(err, os.ErrProcessDone) {
		return p.pid == 0 // its number is not known here
	}
	return err != nil || since == p.started
}

// hello gives who has connected its cell, if it lives. had are the descriptors
// of the cells that it had at an agent before, and of its arena, if any; they
// are closed or kept.
func (a *Agent) hello(j *job, p *process, uid int, m wire.Message, had []int) (_ *process, err error) {
	defer func() { closeAll(had) }()
	if m.Kind != wire.Hello || m.Device != wire.Magic {
		return nil, errors.New("a process must say hello first")
	}
	if m.Lease != wire.Version {
		return nil, fmt.Errorf("the process speaks version %d and the agent %d: install the shim that came with the agent",
			m.Lease, wire.Version)
	}
	if err := j.admits(p.pid, uid); err != nil {
		return nil, err
	}
	if !p.lives() { // then it was another one that was admitted, too
		return nil, fmt.Errorf("process %d has ended", p.pid)
	}
	p.looks, p.seen = m.Text == wire.OnlyLooks, make([]sight, len(j.parts))
	// Who does not bring the cells waits for those who were there before, and do.
	for wait := true; wait; {
		if !a.do(func() { wait = j.lost != (wire.Identity{}) && time.Now().Before(j.until) && !j.finds(m.Cell, had) }) {
			break
		}
		if wait {
			time.Sleep(20 * time.Millisecond)
		}
	}
	alive := a.do(func() {
		if a.jobs[j.id] != j {
			return
		}
		shown := len(had) > 1
		kept := a.arenaAgain(j, had)
		var cells bool
		if p.cell, cells = j.again(m.Cell, had, a.opts.ComeBack); cells {
			kept = true
		}
		if p.cell < 0 {
			p.cell = j.fresh()
			// These are the job's cells from now on: the next agent is to know them.
			kept, j.lost = kept || j.lost != (wire.Identity{}), wire.Identity{}
		}
		if p.cell >= 0 {
			j.cells[p.cell], j.awaited[p.cell] = p, false
			if m.Cell != 0 && !p.looks && j.state() == Out {
				j.stay.reached, j.stay.asked = j.stay.place-1, 0 // not all of it is out before this one says so
			}
			if j.lost == (wire.Identity{}) && !slices.Contains(j.awaited[:], true) {
				j.until = time.Time{} // all are back
			}
			j.pages.Rules.PID[p.cell].Store(uint32(p.pid))
			j.pages.Rules.SetLive(p.cell, true)
			if j.stay.reserved > 0 && j.stay.arena == nil && !shown {
				err = a.furnish(j) // nobody has brought the old one in time
				kept = true
			}
			if err = errors.Join(err, j.welcome(p, shown)); err == nil && kept {
				err = a.keep(j)
			}
		}
	})
	switch {
	case !alive:
		return nil, errors.New("the agent is stopping")
	case p.cell < 0:
		return nil, fmt.Errorf("the job has %d processes already, or has ended", wire.Cells)
	}
	return p, err
}

// fresh returns a cell that nobody has, all zero; -1 when there is none.
func (j *job) fresh() int {
	for i := range j.cells {
		if j.cells[i] == nil && !j.awaited[i] {
			j.pages.Cells.Cell[i] = wire.Cell{}
			for d := range j.parts {
				j.pages.Rules.SetBeyond(d, i, 0, 0)
			}
			return i
		}
	}
	return -1
}

// again returns the cell of a process that comes back, if it was one of this
// job's: who shows the cells has them from the agent. kept says that they are
// the job's from now on, and so is the descriptor.
func (j *job) again(cell uint32, had []int, patience time.Duration) (at int, kept bool) {
	if cell == 0 || cell > wire.Cells || len(had) == 0 {
		return -1, false
	}
	shown, err := wire.IdentityOf(had[0])
	if err != nil {
		return -1, false
	}
	if j.finds(cell, had) && j.empty() {
		if j.pages.Adopt(had[0]) != nil {
			return -1, false
		}
		had[0] = -1
		kept, j.lost = true, wire.Identity{}
		j.await(patience)
	}
	if own, err := wire.IdentityOf(j.pages.CellsFile); err != nil || own != shown || j.cells[cell-1] != nil {
		return -1, kept
	}
	return int(cell - 1), kept
}

// finds reports whether a process shows the cells that are awaited.
func (j *job) finds(cell uint32, had []int) bool {
	if j.lost == (wire.Identity{}) || cell == 0 || len(had) == 0 {
		return false
	}
	shown, err := wire.IdentityOf(had[0])
	return err == nil && shown == j.lost
}

// arenaAgain takes over the arena of an agent before, if a process brings it.
func (a *Agent) arenaAgain(j *job, had []int) (kept bool) {
	if len(had) < 2 || j.stay.lostArena == (wire.Identity{}) || j.stay.arena != nil {
		return false
	}
	if shown, err := wire.IdentityOf(had[1]); err != nil || shown != j.stay.lostArena {
		return false
	}
	arena, err := wire.AdoptArena(had[1], j.stay.reserved)
	if err != nil {
		a.log.Warn("a job's arena could not be taken over", "job", j.id, "error", err)
		return false
	}
	had[1] = -1
	j.stay.arena, j.stay.lostArena, j.stay.reap = arena, wire.Identity{}, true
	if err := a.touch(j); err != nil {
		a.log.Warn("a job's arena could not be touched", "job", j.id, "error", err)
	}
	return true
}

// empty reports whether no process has a cell.
func (j *job) empty() bool {
	return !slices.ContainsFunc(j.cells[:], func(p *process) bool { return p != nil })
}

// await lets all cells count in which there is something: their processes may
// come back yet.
func (j *job) await(patience time.Duration) {
	j.until = time.Now().Add(patience)
	for c := range j.cells {
		for i := range j.parts {
			u := &j.pages.Cells.Cell[c].Device[i]
			if j.cells[c] == nil && u.Charged.Load()|u.Wanted.Load()|u.Launches.Load()|uint64(u.Contexts.Load()) != 0 {
				j.awaited[c] = true
				j.pages.Rules.SetLive(c, true)
			}
		}
	}
}

// giveUp lets cells count no more whose processes did not come back in time.
func (j *job) giveUp() {
	if j.until.IsZero() || time.Now().Before(j.until) {
		return
	}
	j.until = time.Time{}
	for c, awaited := range j.awaited {
		if awaited {
			j.awaited[c] = false
			j.pages.Rules.SetLive(c, false)
		}
	}
}

// welcome gives a process the shared memory, and the arena if it has none. The
// socket has room for it: it is the first that is sent.
func (j *job) welcome(p *process, hasArena bool) error {
	m := wire.Message{Kind: wire.Welcome, Cell: uint32(p.cell)}
	fds := []int{j.pages.RulesFile, j.pages.CellsFile}
	if j.stay.arena != nil && !hasArena && !p.looks {
		fds = append(fds, j.stay.arena.File)
	}
	_, _, err := p.conn.WriteMsgUnix(m.Append(nil), unix.UnixRights(fds...), nil)
	return err
}
