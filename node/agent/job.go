package agent

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
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
	most    []uint64 // by part: what it may have where others leave it; no less than what it was promised
	began   time.Time

	pages    *wire.Pages
	listener *net.UnixListener
	open     atomic.Int32 // connections
	leader   *os.File     // a pidfd; nil when the leader was gone before
	ended    bool         // the leader has
	started  string       // when the leader began
	cells    [wire.Cells]*process
	lost     wire.Identity    // the cells of an agent before this one, until somebody brings them
	awaited  [wire.Cells]bool // cells of processes that have not come back yet
	until    time.Time        // how long they are waited for
	seats    []seat           // by part
	gone     []past           // by part: what processes did that have ended
	recent   []recent         // by part
	stay     stay             // where its memory is
	judged   int64            // when the driver was last asked what it has
	exceeds  []int64          // by part: for how long it has had more than its limit
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

	started string  // when it began: its number alone may be another's some day
	seen    []sight // by part: what the driver says of it
	before  uint32  // its cell's changes before the driver was asked
	asked   bool    // and it was there then
}

// listen makes the job's socket, and follows the program that the job is.
func (j *job) listen(a *Agent) error {
	l, err := j.socket(a)
	if err != nil {
		return err
	}
	if j.request.Hold == nil && !j.ended { // else the number may be another's
		if fd, err := unix.PidfdOpen(j.request.Leader, unix.PIDFD_NONBLOCK); err == nil {
			j.leader = os.NewFile(uintptr(fd), "leader")
			go j.watch(a, j.leader)
		} else if !errors.Is(err, unix.ESRCH) {
			l.Close()
			return fmt.Errorf("watching process %d: %w", j.request.Leader, err)
		}
	}
	j.listener = l
	go j.accept(a, l)
	return nil
}

// socket opens what the job's user may connect to, or whoever is given the
// folder that it is in. The folder is the agent's: what it writes down of the job
// is there, and who could change that would have more after a restart.
func (j *job) socket(a *Agent) (*net.UnixListener, error) {
	dir, held := a.door(j), j.request.Hold != nil
	if err := os.MkdirAll(a.path(j.id), 0o700); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// It takes the place of the one before: a process that begins meanwhile finds a
	// socket, and waits. Where it found none it would be nobody's, and free.
	path, next := filepath.Join(dir, "weir.sock"), filepath.Join(dir, "next.sock")
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: next, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("making the job's socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // whoever runs connects to the next agent there
	if held {
		// The folder around is the agent's alone. Users in a container are not
		// those of the machine.
		err = errors.Join(os.Chmod(dir, 0o755), os.Chmod(next, 0o666))
	} else {
		err = errors.Join(os.Chmod(dir, 0o711), os.Chown(next, j.request.UID, -1), os.Chmod(next, 0o600))
	}
	if err = errors.Join(err, os.Rename(next, path)); err != nil {
		l.Close()
		return nil, fmt.Errorf("giving the job's socket to its user: %w", err)
	}
	return l, nil
}

// mostConnections is how many a job may have: one for each cell, and some for
// those who are just beginning or ending. What is more is closed unheard, so that
// nobody takes all descriptors of the agent.
const mostConnections = wire.Cells + 64

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
		if j.open.Add(1) > mostConnections {
			j.open.Add(-1)
			conn.Close()
			continue
		}
		go j.talk(a, conn)
	}
}

// talk reads what a process says until it ends.
func (j *job) talk(a *Agent, conn *net.UnixConn) {
	defer j.open.Add(-1)
	defer conn.Close()
	// At once: when it says something its number may be another's.
	who, uid, err := caller(conn)
	if err != nil {
		a.log.Warn("it is not known who has connected", "job", j.id, "error", err)
		return
	}
	var p *process
	var b [wire.MessageSize + 1]byte
	for {
		n, fds, err := receive(conn, b[:])
		if err != nil || n == 0 {
			closeAll(fds)
			break
		}
		m, err := wire.Parse(b[:n])
		if err == nil {
			if p == nil {
				p, err = a.hello(j, who, uid, m, fds)
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
// and of an arena. They are the caller's whatever else is told: an empty packet
// looks like the end, and brings them all the same.
func receive(conn *net.UnixConn, b []byte) (n int, fds []int, err error) {
	oob := make([]byte, unix.CmsgSpace(2*4))
	n, control, _, _, err := conn.ReadMsgUnix(b, oob)
	messages, odd := unix.ParseSocketControlMessage(oob[:control])
	for i := range messages {
		some, other := unix.ParseUnixRights(&messages[i])
		fds, odd = append(fds, some...), errors.Join(odd, other)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return n, fds, cmp.Or(err, odd)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
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
	case wire.Placed, wire.Asleep, wire.Lacks:
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
	// Its slots of the arena are free with the next beat: to look for them takes as long as their owners are many,
	// which is a container's own word, and processes end as often as it likes. Who needs one sooner looks itself.
	j.stay.reap = true
	j.pages.Rules.SetLive(p.cell, false)
	j.pages.Rules.PID[p.cell].Store(0)
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
	if a.jobs[j.id] == j && j.request.Hold == nil && j.empty() && (j.leader == nil || j.ended) && time.Now().After(j.until) {
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
