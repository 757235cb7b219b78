package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/wire"
	"github.com/weir-gpu/weir/shim/build"
)

// hand is an agent whose words the test writes itself, for one process.
type hand struct {
	t     *testing.T
	pages *wire.Pages
	arena *wire.Arena // nil: there is none
	said  chan wire.Message

	mu   sync.Mutex
	conn *net.UnixConn
}

// hand is at the socket of a container until the end of the test. Its rules are
// of so many devices of which all is promised, and what is written in them.
func (w *world) hand(name string, devices int, write func(*wire.Rules)) *hand {
	w.t.Helper()
	h := &hand{t: w.t, said: make(chan wire.Message, 1000)}
	var err error
	if h.pages, err = wire.NewPages(name); err != nil {
		w.t.Fatal(err)
	}
	r := h.pages.Rules
	r.Devices, r.IdleAfter = uint32(devices), 2000
	for i := range devices {
		r.Device[i].Ordinal, r.Device[i].MemoryPromised = uint32(i), limit
		r.Device[i].MemoryLimit.Store(limit)
	}
	write(r)
	if r.Flags&wire.Swappable != 0 {
		if h.arena, err = wire.NewArena(name, limit); err != nil {
			w.t.Fatal(err)
		}
		if err := wire.Touch(h.arena.File); err != nil {
			w.t.Fatal(err)
		}
	}
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: w.socket(name), Net: "unixpacket"})
	if err != nil {
		w.t.Fatal(err)
	}
	stop := make(chan struct{})
	w.t.Cleanup(func() { listener.Close(); close(stop) })
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			go h.serve(conn)
		}
	}()
	go func() {
		for {
			var now unix.Timespec
			_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
			r.Beat.Store(uint64(now.Nano()))
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return h
}

func (h *hand) serve(conn *net.UnixConn) {
	defer conn.Close()
	var b [wire.MessageSize]byte
	if _, err := conn.Read(b[:]); err != nil {
		return
	}
	hello, _ := wire.Parse(b[:])
	fds := []int{h.pages.RulesFile, h.pages.CellsFile}
	if h.arena != nil && hello.Cell == 0 {
		fds = append(fds, h.arena.File)
	}
	welcome := wire.Message{Kind: wire.Welcome}
	h.pages.Rules.SetLive(0, true)
	if _, _, err := conn.WriteMsgUnix(welcome.Append(nil), unix.UnixRights(fds...), nil); err != nil {
		return
	}
	h.mu.Lock()
	h.conn = conn
	h.mu.Unlock()
	for {
		if n, err := conn.Read(b[:]); err != nil || n == 0 {
			return
		}
		if m, err := wire.Parse(b[:]); err == nil {
			h.said <- m
		}
	}
}

// dies ends the connection. What comes after is the next agent, which has all
// that this one had.
func (h *hand) dies() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conn.Close()
}

// place says where the process's memory is to be.
func (h *hand) place(to uint32) {
	h.pages.Rules.Place.Store(to)
	wire.Wake(&h.pages.Rules.Place)
}

// placed is where it says that its memory is.
func (h *hand) placed() uint32 { return h.pages.Cells.Cell[0].Placed.Load() }

// reaches waits until its memory is at a place.
func (h *hand) reaches(place uint32) {
	h.t.Helper()
	h.sees(fmt.Sprintf("its memory is at place %d", place), func() bool { return h.placed() == place })
}

// hears waits until the process says something of a kind.
func (h *hand) hears(kind wire.Kind) wire.Message {
	h.t.Helper()
	for enough := time.After(5 * time.Second); ; {
		select {
		case m := <-h.said:
			if m.Kind == kind {
				return m
			}
		case <-enough:
			h.t.Fatalf("the process does not say %d", kind)
		}
	}
}

// sees waits until something holds.
func (h *hand) sees(what string, holds func() bool) {
	h.t.Helper()
	for range 5000 {
		if holds() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	h.t.Fatalf("not within five seconds: %s", what)
}

// stepping is a program that goes step by step.
type stepping struct {
	*process
	t    *testing.T
	in   io.WriteCloser
	says *bufio.Scanner
}

func (w *world) stepping(what string, env ...string) *stepping {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w.t.Cleanup(cancel)
	p := w.process(ctx, "hand", "steps_test", what)
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stdout = nil
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.begin(p)
	w.t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	return &stepping{process: p, t: w.t, in: in, says: bufio.NewScanner(out)}
}

// at waits until the program says a word.
func (s *stepping) at(word string) {
	s.t.Helper()
	if !s.says.Scan() || s.says.Text() != word {
		s.t.Fatalf("it says %q, not %q\n%s", s.says.Text(), word, s.out.String())
	}
}

func (s *stepping) goesOn() { _, _ = s.in.Write([]byte("\n")) }

// ends waits for the program's end.
func (s *stepping) ends() {
	s.t.Helper()
	s.goesOn()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("%v\n%s", err, s.out.String())
	}
}

func swappable(r *wire.Rules) { r.Flags = wire.Moves | wire.Swappable }

// TestWhatIsCapturedEnds has a program whose memory is to go out while it
// captures: what is copied in the capture does not wait for the memory to come
// back, as the memory waits for the end of the capture.
func TestWhatIsCapturedEnds(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		w := newWorld(t, check)
		h := w.hand("hand", 1, swappable)
		p := w.stepping("capture")
		p.at("captures")
		h.place(1)
		time.Sleep(100 * time.Millisecond)
		if h.placed() == 1 {
			t.Error("it went out while something was captured")
		}
		p.goesOn()
		h.reaches(1)
		p.at("captured")
		h.place(2)
		p.ends()
	})
}

// TestCapturesAreLeftAlone has a program that captures a stream, while the shim
// looks at the work of others and makes the arena ready: neither is forbidden.
func TestCapturesAreLeftAlone(t *testing.T) {
	w := newWorld(t, build.Plain)
	w.hand("hand", 1, swappable)
	p := w.stepping("gentle")
	p.at("captures")
	time.Sleep(500 * time.Millisecond)
	p.goesOn()
	p.at("done")
	p.ends()
}

// TestAThreadIsCancelled while it waits for its memory: the others have theirs.
func TestAThreadIsCancelled(t *testing.T) {
	w := newWorld(t, build.Plain)
	h := w.hand("hand", 1, swappable)
	p := w.stepping("cancel")
	p.at("has memory")
	h.place(1)
	h.reaches(1)
	p.goesOn()
	p.at("cancelled")
	h.place(2)
	h.reaches(2)
	p.ends()
}

// TestWorkOfAnyContextIsWaitedFor has a program whose memory is to go out while
// a context that has none of it is at work: it may be copying it.
func TestWorkOfAnyContextIsWaitedFor(t *testing.T) {
	w := newWorld(t, build.Plain)
	h := w.hand("hand", 1, swappable)
	p := w.stepping("elsewhere")
	p.at("at work")
	h.place(1)
	time.Sleep(300 * time.Millisecond)
	if h.placed() == 1 {
		t.Error("it went out while a context was at work")
	}
	p.goesOn()
	h.reaches(1)
	p.at("done")
	h.place(2)
	p.ends()
}

// TestALeaseTakenUpIsGivenBack has a program that launches again in a lease that
// it has given back and that stands still: it gives that back, too.
func TestALeaseTakenUpIsGivenBack(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		w := newWorld(t, check)
		h := w.hand("hand", 1, func(r *wire.Rules) {
			r.Device[0].Mode = wire.Fair
			r.Device[0].LeaseUntil.Store(1 << 62)
			r.Device[0].Gate.Store(1)
		})
		use := &h.pages.Cells.Cell[0].Device[0]
		p := w.stepping("again")
		p.at("launched")
		h.sees("the lease is given back", func() bool { return use.Began.Load() == 1 && use.Ended.Load() == 1 })
		p.goesOn()
		p.at("launched")
		h.sees("it is given back again", func() bool { return use.Ended.Load() == 1 })
		p.ends()
	})
}

// TestOneDeviceKeepsNoOther has a thread that waits for a device's long kernel:
// the lease of another device is given back meanwhile.
func TestOneDeviceKeepsNoOther(t *testing.T) {
	w := newWorld(t, build.Plain)
	h := w.hand("hand", 2, func(r *wire.Rules) {
		for i := range 2 {
			r.Device[i].Mode = wire.Fair
			r.Device[i].LeaseUntil.Store(1 << 62)
			r.Device[i].Gate.Store(1)
		}
	})
	first, second := &h.pages.Cells.Cell[0].Device[0], &h.pages.Cells.Cell[0].Device[1]
	p := w.stepping("beside", "WEIR_SIM_DEVICES=2x80GiB")
	p.at("begins")
	h.sees("the first kernels", func() bool { return first.Launches.Load() == 2 })
	p.goesOn()
	p.at("second")
	h.sees("the second device is given back", func() bool { return second.Ended.Load() == 1 })
	if n := first.Launches.Load(); n != 2 {
		t.Errorf("%d launches at the first device: it was waited for", n)
	}
	p.at("first")
	p.ends()
}

// TestWhatIsLostIsSaidAgain has a program whose memory cannot go out, which the
// agent that hears it takes to its grave: the next one is told.
func TestWhatIsLostIsSaidAgain(t *testing.T) {
	w := newWorld(t, build.Plain)
	h := w.hand("hand", 1, swappable)
	p := w.stepping("stay")
	p.at("has memory")
	if err := os.WriteFile(filepath.Join(w.dir, "sim", "fault"), []byte("copy=1"), 0o666); err != nil {
		t.Fatal(err)
	}
	h.place(1)
	h.hears(wire.Unmoved)
	h.dies()
	if m := h.hears(wire.Unmoved); m.Lease != 1 || m.Text == "" {
		t.Errorf("it says that it is not at %d: %s", m.Lease, m.Text)
	}
	h.place(2)
	h.reaches(2)
	p.ends()
}

// TestWhatIsFreeIsNoMoreThanThereIs has a program that looks again and again at
// what is free, while its limit goes below what it has and above it.
func TestWhatIsFreeIsNoMoreThanThereIs(t *testing.T) {
	w := newWorld(t, build.Plain)
	h := w.hand("hand", 1, func(r *wire.Rules) { r.Device[0].MemoryPromised = 0 })
	p := w.stepping("views")
	p.at("has memory")
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				h.pages.Rules.Device[0].MemoryLimit.Store(limit / 2)
				h.pages.Rules.Device[0].MemoryLimit.Store(limit)
			}
		}
	}()
	p.goesOn()
	p.at("done")
	close(stop)
	<-stopped
	p.ends()
}
