package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// job is what has parts of the node's devices: a program and all processes
// that it starts, or a container.
type job struct {
	id      string
	request Request
	parts   []parts.Part
	began   time.Time

	pages    *wire.Pages
	listener *net.UnixListener
	leader   *os.File // a pidfd; nil when the leader was gone before
	ended    bool     // the leader has
	started  string   // when the leader began
	cells    [wire.Cells]*process
	lost     wire.Identity    // the cells of an agent before this one, until somebody brings them
	awaited  [wire.Cells]bool // cells of processes that have not come back yet
	until    time.Time        // how long they are waited for
	seats    []seat           // by part
	gone     []past           // by part: what processes did that have ended
	stay     stay             // where its memory is
}

// past is what is remembered of processes.
type past struct{ launches, busy uint64 }

// seat is a job's place at a device.
type seat struct {
	lease uint32 // the gate while it runs or is awaited; 0: none
	open  bool   // launches may begin
	look  int64  // when to see whether anybody launched
}

// process is a connection.
type process struct {
	pid   int
	cell  int
	conn  *net.UnixConn
	looks bool // it takes no memory
}

// listen makes the job's socket, which only its user may connect to.
func (j *job) listen(a *Agent) error {
	dir := a.path(j.id)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	path := filepath.Join(dir, "weir.sock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return fmt.Errorf("making the job's socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // whoever runs connects to the next agent there
	for _, p := range []string{dir, path} {
		if err := os.Chown(p, j.request.UID, -1); err != nil {
			l.Close()
			return fmt.Errorf("giving the job's socket to its user: %w", err)
		}
	}
	if j.ended {
		err = unix.ESRCH // its number may be another's
	}
	fd := -1
	if err == nil {
		fd, err = unix.PidfdOpen(j.request.Leader, unix.PIDFD_NONBLOCK)
	}
	if err == nil {
		j.leader = os.NewFile(uintptr(fd), "leader")
		go j.watch(a, j.leader)
	} else if !errors.Is(err, unix.ESRCH) {
		l.Close()
		return fmt.Errorf("watching process %d: %w", j.request.Leader, err)
	}
	j.listener = l
	go j.accept(a, l)
	return nil
}

func (j *job) accept(a *Agent, l *net.UnixListener) {
	for {
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			a.log.Warn("a process could not connect", "job", j.id, "error", err)
			time.Sleep(100 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		go j.talk(a, conn)
	}
}

// talk reads what a process says until it ends.
func (j *job) talk(a *Agent, conn *net.UnixConn) {
	defer conn.Close()
	var p *process
	var b [wire.MessageSize + 1]byte
	for {
		n, fds, err := receive(conn, b[:])
		if err != nil || n == 0 {
			break
		}
		m, err := wire.Parse(b[:n])
		if err == nil {
			if p == nil {
				p, err = a.hello(j, conn, m, fds)
				fds = nil
			} else {
				err = a.hear(j, p, m)
			}
		}
		closeAll(fds)
		if err != nil {
			a.log.Warn("a process was refused", "job", j.id, "error", err)
			refusal := wire.Message{Kind: wire.Refused, Text: err.Error()}
			_, _ = conn.Write(refusal.Append(nil))
			break
		}
	}
	if p != nil {
		a.post(func() { a.bye(j, p) })
	}
}

// receive reads a packet, and the descriptors that may come with it: of cells
// and of an arena.
func receive(conn *net.UnixConn, b []byte) (n int, fds []int, err error) {
	oob := make([]byte, unix.CmsgSpace(2*4))
	n, control, _, _, err := conn.ReadMsgUnix(b, oob)
	if err != nil || control == 0 {
		return n, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:control])
	if err != nil || len(messages) == 0 {
		return n, nil, err
	}
	fds, err = unix.ParseUnixRights(&messages[0])
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return n, fds, err
}

func closeAll(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// hello gives a process its cell. had are the descriptors of the cells that it
// had at an agent before, and of its arena, if any; they are closed or kept.
func (a *Agent) hello(j *job, conn *net.UnixConn, m wire.Message, had []int) (p *process, err error) {
	defer func() { closeAll(had) }()
	if m.Kind != wire.Hello || m.Device != wire.Magic {
		return nil, errors.New("a process must say hello first")
	}
	if m.Lease != wire.Version {
		return nil, fmt.Errorf("the process speaks version %d and the agent %d: install the shim that came with the agent",
			m.Lease, wire.Version)
	}
	pid, uid, err := wire.Peer(conn)
	if err != nil {
		return nil, err
	}
	if uid != j.request.UID && uid != 0 {
		return nil, fmt.Errorf("process %d belongs to user %d, and the job to %d", pid, uid, j.request.UID)
	}
	p = &process{pid: pid, cell: -1, conn: conn, looks: m.Text == wire.OnlyLooks}
	// Who is new waits for those who were there before: they bring the cells.
	for wait := true; wait && m.Cell == 0; {
		if !a.do(func() { wait = j.lost != (wire.Identity{}) && time.Now().Before(j.until) }) {
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
		}
		if p.cell >= 0 {
			j.cells[p.cell], j.awaited[p.cell] = p, false
			if j.lost == (wire.Identity{}) && !slices.Contains(j.awaited[:], true) {
				j.until = time.Time{} // all are back
			}
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
	if j.lost != (wire.Identity{}) && shown == j.lost && j.empty() {
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
			if j.cells[c] == nil && u.Charged.Load()+u.Wanted.Load()+u.Launches.Load() > 0 {
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

// hear takes in what a process says.
func (a *Agent) hear(j *job, p *process, m wire.Message) error {
	if int(m.Device) >= len(j.parts) {
		return fmt.Errorf("process %d speaks of device %d, and the job has %d", p.pid, m.Device, len(j.parts))
	}
	switch m.Kind {
	case wire.Want:
		a.post(func() { a.want(j, int(m.Device)) })
	case wire.Done:
		a.post(func() { a.done(j, int(m.Device)) })
	case wire.Placed, wire.Asleep:
		a.post(func() {}) // it is in its cell: the agent looks after each event
	case wire.Unmoved:
		a.post(func() { a.unmoved(j, m.Lease, m.Text) })
	default:
		return fmt.Errorf("process %d sent a message of kind %d", p.pid, m.Kind)
	}
	return nil
}

// bye takes a process's cell out of all sums: it has ended.
func (a *Agent) bye(j *job, p *process) {
	if a.jobs[j.id] != j || j.cells[p.cell] != p {
		return
	}
	// Its slots of the arena are free before its bytes are: who has the bytes finds slots.
	if j.stay.arena != nil {
		j.stay.reap = j.stay.arena.Reap()
	}
	j.pages.Rules.SetLive(p.cell, false)
	j.cells[p.cell] = nil
	for i := range j.parts {
		u := &j.pages.Cells.Cell[p.cell].Device[i]
		j.gone[i].launches += u.Launches.Load()
		j.gone[i].busy += u.Busy.Load()
		a.done(j, i) // it may have been the last one
	}
	a.endIfOver(j)
}

// watch waits for the end of the program that the job is.
func (j *job) watch(a *Agent, leader *os.File) {
	raw, err := leader.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return err == nil && n > 0
		})
	}
	if err == nil {
		a.post(func() {
			j.ended = true
			a.endIfOver(j)
		})
	} // else the job has ended otherwise
}

// endIfOver ends a job of which nothing is left: neither its program nor any
// process that it started and that connected.
func (a *Agent) endIfOver(j *job) {
	if a.jobs[j.id] == j && j.empty() && (j.leader == nil || j.ended) && time.Now().After(j.until) {
		a.end(j, "its program has ended")
	}
}

// leave closes what the agent has open of a job. Its processes go on.
func (j *job) leave() {
	j.listener.Close()
	for _, p := range j.cells {
		if p != nil {
			p.conn.Close()
		}
	}
	if j.leader != nil {
		j.leader.Close()
	}
}
