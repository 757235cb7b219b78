package agent_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/arbiter"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// descriptors are how many this process has, and with it the agent of a test.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func dial(t *testing.T, socket string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// send sends a packet of any length: libraries send no empty one with descriptors.
func send(t *testing.T, c *net.UnixConn, packet, control []byte) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	data := unix.Iovec{Base: unsafe.SliceData(append(packet, 0))}
	data.SetLen(len(packet))
	message := unix.Msghdr{Iov: &data, Iovlen: 1, Control: &control[0]}
	message.SetControllen(len(control))
	_ = raw.Write(func(fd uintptr) bool {
		_, _, _ = unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&message)), unix.MSG_NOSIGNAL)
		return true
	})
}

// Whatever comes with a packet, and however much of it, the agent keeps none of it.
func TestDescriptorsThatAreSentAreClosed(t *testing.T) {
	n := newNode(t)
	job := n.job("a", 300, "fair")
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	few := []int{int(file.Fd()), int(file.Fd())}
	many := append(append(few, few...), few...)
	hello := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version}
	before := descriptors(t)
	for range 20 {
		for _, packet := range [][]byte{{}, {1}, make([]byte, 4096), hello.Append(nil)} {
			for _, fds := range [][]int{few, many} {
				c := dial(t, job.Socket)
				send(t, c, packet, unix.UnixRights(fds...))
				send(t, c, packet, unix.UnixRights(fds...)) // it may have been refused
				_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}
		}
	}
	n.eventually("nothing is left open", func() error {
		if now := descriptors(t); now > before+5 {
			return fmt.Errorf("%d descriptors are open, and %d were", now, before)
		}
		return nil
	})
}

// A container that connects again and again takes no more of the agent than its
// processes may, and keeps nobody else out.
func TestConnectionsHaveABound(t *testing.T) {
	n := newNode(t)
	greedy, other := n.job("greedy", 300, "fair"), n.job("other", 300, "fair")
	before := descriptors(t)
	for range 3 * wire.Cells {
		c := dial(t, greedy.Socket)
		defer c.Close()
	}
	connect(t, other.Socket)
	n.eventually("the agent has let go of most of them", func() error {
		if has := descriptors(t) - before - 3*wire.Cells; has > wire.Cells+100 {
			return fmt.Errorf("the agent has %d", has)
		}
		return nil
	})
}

// vandal is a process that writes what it likes wherever it can, and says so.
func vandal(t *testing.T, socket string, random *rand.Rand, until time.Time) {
	g := connect(t, socket)
	cells, err := unix.Mmap(g.cells, 0, int(unsafe.Sizeof(wire.CellTable{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Error(err)
		return
	}
	pages := [][]byte{cells}
	if g.arena != 0 {
		journal, err := unix.Mmap(g.arena, 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Error(err)
			return
		}
		pages = append(pages, journal)
	}
	for time.Now().Before(until) {
		for _, page := range pages {
			for range 64 {
				at := random.IntN(len(page)/8) * 8
				*(*uint64)(unsafe.Pointer(&page[at])) = []uint64{0, 1, ^uint64(0), 1 << 63, random.Uint64(),
					uint64(random.Uint32N(8)), uint64(g.rules.Device[0].Gate.Load())}[random.IntN(7)]
			}
		}
		m := wire.Message{Kind: wire.Kind(random.IntN(11)), Device: uint32(random.IntN(2)), Lease: g.rules.Device[0].Gate.Load(),
			Cell: random.Uint32(), Text: strings.Repeat("\n", random.IntN(200))}
		packet := m.Append(nil)
		if random.IntN(50) == 0 {
			packet = packet[:random.IntN(len(packet)+1)]
		}
		_ = g.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := g.Write(packet); err != nil {
			_ = g.Close() // it was refused for what it said; another comes
			g = connect(t, socket)
		}
	}
}

// Two processes of a container write garbage into all that they can write, and say
// as much as they can. Another container has its turns and its memory; the agent
// lives, and what it tells of the other is true.
func TestGarbageHarmsNobodyElse(t *testing.T) {
	n := &node{TB: t, dir: t.TempDir(), arena: 64 << 20}
	n.client = clientOf(n)
	n.start()
	const memory = 16 << 20
	ask := func(name string) agent.Begun {
		b, err := n.begin(agent.Request{Name: name, Devices: 1, Memory: memory, Compute: 400, Mode: "fair", Policy: agent.Lend})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	bad, good := ask("bad"), ask("good")
	until := time.Now().Add(3 * time.Second)
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() { vandal(t, bad.Socket, rand.New(rand.NewPCG(uint64(i), 1)), until) })
	}
	g := connect(t, good.Socket)
	g.use.Charged.Store(memory)
	turns, worst := 0, time.Duration(0)
	for time.Now().Before(until) {
		began := time.Now()
		lease := g.lease(t, 5*time.Second)
		worst = max(worst, time.Since(began))
		if lease == 0 {
			t.Fatal("no lease in five seconds")
		}
		time.Sleep(time.Millisecond)
		g.use.Ended.Store(lease)
		g.say(t, wire.Message{Kind: wire.Done, Lease: lease})
		turns++
	}
	all.Wait()
	t.Logf("%d turns beside it, and %v to wait at most", turns, worst.Round(time.Millisecond))
	if limit := 2 * (time.Duration(arbiter.Usual.Patience) + time.Duration(arbiter.Usual.Lease)); worst > limit {
		t.Errorf("it waited for %v, and whoever runs over is waited for %v", worst, time.Duration(arbiter.Usual.Patience))
	}
	for _, j := range n.node().Jobs {
		if j.Name == "good" && (j.Parts[0].Used != memory || j.Parts[0].Limit < memory || j.State != agent.In) {
			t.Errorf("%+v", j)
		}
	}
	if limit := g.rules.Device[0].MemoryLimit.Load(); limit < memory {
		t.Errorf("its limit is %d", limit)
	}
	if r := &g.rules.Device[0]; r.Share != 400 || g.rules.Place.Load()%2 == 1 {
		t.Errorf("share %d, place %d", r.Share, g.rules.Place.Load())
	}
	n.eventually("the agent can take over all of it", func() error { n.stop(); n.start(); return nil })
	if len(n.node().Jobs) != 2 {
		t.Errorf("%+v", n.node().Jobs)
	}
}

// Nobody gets into a container's memory by its socket who is not of it: neither
// its rules, nor its cells, nor its arena.
func TestOthersAreToldNothing(t *testing.T) {
	k := keep(t, t.TempDir(), two...)
	h, err := k.Hold(agent.Hold{By: "theirs", Within: []string{"pod-of-somebody-else"}},
		agent.Request{Name: "x", Mode: "fair"}, []parts.Part{part(0, 1, 100)})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, h.Door+"/weir.sock")
	defer c.Close()
	m := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version}
	if _, err := c.Write(m.Append(nil)); err != nil {
		t.Fatal(err)
	}
	b, oob := make([]byte, wire.MessageSize), make([]byte, 64)
	size, control, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wire.Parse(b[:size]); err != nil || got.Kind != wire.Refused || control != 0 {
		t.Errorf("%+v with %d bytes of control, %v", got, control, err)
	}
	if _, err := c.Read(b); !errors.Is(err, io.EOF) {
		t.Errorf("the connection goes on: %v", err)
	}
}

// What one job has left in its arena, the next one that has its place does not see.
func TestArenasBeginEmpty(t *testing.T) {
	const memory = 16 << 20 // all of the agent's arena
	a := run(t, agent.Options{Dir: t.TempDir(), Devices: two, Arena: memory})
	for _, by := range []string{"first", "second"} {
		h, err := a.Hold(agent.Hold{By: by}, agent.Request{Name: "a", Mode: "fair", Policy: agent.Lend},
			[]parts.Part{{Device: 0, Memory: memory, Compute: 100}})
		if err != nil {
			t.Fatal(err)
		}
		g := connect(t, h.Door+"/weir.sock")
		bytes, err := unix.Mmap(g.arena, wire.Chunk, memory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		for i := range bytes {
			if bytes[i] != 0 {
				t.Fatalf("byte %d of the arena of the %s is %d", i, by, bytes[i])
			}
			bytes[i] = 0xa5
		}
		_ = unix.Munmap(bytes)
		if err := a.Drop(by); err != nil {
			t.Fatal(err)
		}
	}
}
