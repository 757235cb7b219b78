package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
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
	leader   *os.File // a pidfd; nil when the leader is gone
	cells    [wire.Cells]*process
	seats    []seat // by part
	gone     []past // by part: what processes did that have ended
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
	pid  int
	cell int
	conn *net.UnixConn
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
	if fd, err := unix.PidfdOpen(j.request.Leader, 0); err == nil {
		j.leader = os.NewFile(uintptr(fd), "leader")
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
		n, err := conn.Read(b[:])
		if err != nil || n == 0 {
			break
		}
		m, err := wire.Parse(b[:n])
		if err == nil {
			if p == nil {
				p, err = a.hello(j, conn, m)
			} else {
				err = a.hear(j, p, m)
			}
		}
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

// hello gives a process its cell.
func (a *Agent) hello(j *job, conn *net.UnixConn, m wire.Message) (*process, error) {
	if m.Kind != wire.Hello || m.Device != wire.Magic {
		return nil, errors.New("a process must say hello first")
	}
	if m.Lease != wire.Version {
		return nil, fmt.Errorf("the process speaks version %d and the agent %d: install the shim that came with the agent",
			m.Lease, wire.Version)
	}
	pid, uid, err := peer(conn)
	if err != nil {
		return nil, err
	}
	if uid != j.request.UID && uid != 0 {
		return nil, fmt.Errorf("process %d belongs to user %d, and the job to %d", pid, uid, j.request.UID)
	}
	p := &process{pid: pid, cell: -1, conn: conn}
	alive := a.do(func() {
		if a.jobs[j.id] != j {
			return
		}
		for i, other := range j.cells {
			if other == nil {
				p.cell, j.cells[i] = i, p
				j.pages.Cells.Cell[i] = wire.Cell{}
				j.pages.Rules.SetLive(i, true)
				break
			}
		}
		if p.cell >= 0 {
			err = j.welcome(p)
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

// welcome gives a process the shared memory. The socket has room for it: it is
// the first that is sent.
func (j *job) welcome(p *process) error {
	m := wire.Message{Kind: wire.Welcome, Cell: uint32(p.cell)}
	_, _, err := p.conn.WriteMsgUnix(m.Append(nil), unix.UnixRights(j.pages.RulesFile, j.pages.CellsFile), nil)
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
	j.pages.Rules.SetLive(p.cell, false)
	j.cells[p.cell] = nil
	for i := range j.parts {
		u := &j.pages.Cells.Cell[p.cell].Device[i]
		j.gone[i].launches += u.Launches.Load()
		j.gone[i].busy += u.Busy.Load()
		a.done(j, i) // it may have been the last one
	}
}

// over reports whether nothing is left of a job.
func (j *job) over() bool {
	for _, p := range j.cells {
		if p != nil {
			return false
		}
	}
	if j.leader == nil {
		return true
	}
	poll := []unix.PollFd{{Fd: int32(j.leader.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return err == nil && n > 0
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

// peer says who is at the other end, by the kernel's word.
func peer(conn *net.UnixConn) (pid, uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	if ctl := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); ctl != nil {
		return 0, 0, ctl
	}
	if err != nil {
		return 0, 0, err
	}
	return int(cred.Pid), int(cred.Uid), nil
}
