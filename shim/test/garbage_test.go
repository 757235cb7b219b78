package test

import (
	"context"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/wire"
	"github.com/weir-gpu/weir/shim/build"
)

// liar is an agent of which nothing is true.
type liar struct {
	*rand.Rand
	t     *testing.T
	given [][]byte // what it has given
}

// memory is a file of any size with anything in it. It can be cut by nobody.
func (l *liar) memory(size int, like func([]byte)) int {
	fd, err := unix.MemfdCreate("garbage", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		l.t.Fatal(err)
	}
	if l.IntN(20) == 0 {
		size = l.IntN(2 * size)
	}
	_ = unix.Ftruncate(fd, int64(size))
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
	if m, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		l.scribble(m, len(m)/64)
		if len(m) >= int(unsafe.Sizeof(wire.Rules{})) {
			like(m)
		}
		l.given = append(l.given, m)
	}
	return fd
}

func (l *liar) scribble(m []byte, words int) {
	for range words {
		at := l.IntN(max(1, len(m)/8-1)) * 8
		*(*uint64)(unsafe.Pointer(&m[at])) = []uint64{0, 1, ^uint64(0), 1 << 63, l.Uint64(), uint64(l.IntN(300))}[l.IntN(6)]
	}
}

// welcome is most often one, with what looks like rules, cells and an arena.
func (l *liar) welcome() (packet []byte, fds []int) {
	m := wire.Message{Kind: wire.Welcome, Cell: uint32(l.IntN(260))}
	if l.IntN(12) == 0 {
		m.Kind = wire.Kind(l.Uint32N(12))
	}
	packet = m.Append(nil)
	if l.IntN(20) == 0 {
		packet = packet[:l.IntN(len(packet))]
	}
	rules := l.memory(int(unsafe.Sizeof(wire.Rules{})), func(m []byte) {
		r := (*wire.Rules)(unsafe.Pointer(&m[0]))
		r.Magic, r.Version, r.Devices = wire.Magic, wire.Version, uint32(l.IntN(18))
		r.Place.Store(uint32(l.IntN(2)) * l.Uint32())
		for i := range r.Device[:2*l.IntN(2)] { // what can be used, with garbage in the rest of it
			r.Device[i].MemoryLimit.Store(1 << 34)
			if l.IntN(4) > 0 { // else it waits for what it was promised, or has no room for a context
				r.Device[i].MemoryPromised = 1 << 34
				r.Device[i].Context.Store(0)
				r.Device[i].Unseen.Store(0)
				for cell := range wire.Cells {
					r.SetBeyond(i, cell, 0, 0)
				}
			}
			r.Device[i].Ordinal, r.Device[i].UUID, r.Device[i].Mode = uint32(i), [16]byte{}, wire.Mode(l.IntN(3))
			r.Flags = wire.Flags(l.IntN(4))
		}
	})
	fds = append(fds, rules, l.memory(int(unsafe.Sizeof(wire.CellTable{})), func([]byte) {}))
	if l.IntN(2) == 0 {
		fds = append(fds, l.memory(8*MiB, func(m []byte) {
			head := (*wire.ArenaHead)(unsafe.Pointer(&m[0]))
			head.Magic, head.Version = wire.Magic, wire.Version
			head.Chunks, head.Start = uint32(l.IntN(6)), uint64(l.IntN(2))<<21
			head.Ready.Store(1)
		}))
	}
	if l.IntN(10) == 0 {
		fds = fds[:l.IntN(len(fds))]
	}
	return packet, fds
}

// answer speaks to one process, until it has had enough.
func (l *liar) answer(conn *net.UnixConn) {
	defer conn.Close()
	words := l.IntN(2) == 0 // else what it gave stays what it was
	_, _ = conn.Read(make([]byte, wire.MessageSize))
	for range 1 + l.IntN(30) {
		packet, fds := l.welcome()
		if _, _, err := conn.WriteMsgUnix(packet, unix.UnixRights(fds...), nil); err != nil {
			return
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
		for range 20 {
			time.Sleep(time.Millisecond)
			if len(l.given) > 0 && words {
				l.scribble(l.given[l.IntN(len(l.given))], 4)
			}
		}
	}
}

// TestAgentsThatSendGarbage lets programs run at agents whose words and memory are
// made up: whatever becomes of them, none of it is a crash.
func TestAgentsThatSendGarbage(t *testing.T) {
	for name, check := range map[string]build.Check{"plain": build.Plain, "address": build.Address} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, check)
			ran, seeds := 0, map[build.Check]int{build.Plain: 10, build.Address: 7}[check]
			for seed := range seeds {
				if w.lie(uint64(seed)) {
					ran++
				}
			}
			if ran < seeds/4 {
				t.Errorf("%d of %d programs took what they were given for something", ran, seeds)
			}
		})
	}
}

// lie runs a program at an agent of garbage. It reports whether it went on.
func (w *world) lie(seed uint64) bool {
	w.t.Helper()
	socket := w.socket("liar")
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // one after the other: it has one source of randomness
		defer close(done)
		l := &liar{Rand: rand.New(rand.NewPCG(seed, 7)), t: w.t}
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			l.answer(conn)
		}
	}()
	// Who waits for something that was promised, waits.
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	p := w.process(ctx, "liar", "fuzz_test", "1", "400", "tame")
	p.cmd.Env = append(p.cmd.Env, "WEIR_SIM_DEVICES=2x80GiB")
	w.begin(p)
	err = p.cmd.Wait()
	listener.Close()
	if exit, ok := err.(*exec.ExitError); ok {
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() && status.Signal() != syscall.SIGKILL || strings.Contains(p.out.String(), "Sanitizer") {
			w.t.Errorf("seed %d: the program ended with %v\n%s", seed, err, p.out.String())
		}
	}
	<-done
	return strings.Count(p.out.String(), "\n") > 20
}
