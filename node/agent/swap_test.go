package agent_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

const mib = 1 << 20

// newLender is a node with an arena.
func newLender(t *testing.T) *node {
	n := newNode(t, parts.Device{UUID: "GPU-0", Name: "H100", Memory: gib})
	n.stop()
	n.arena = 256 * mib
	n.start(parts.Device{UUID: "GPU-0", Name: "H100", Memory: gib})
	return n
}

func (n *node) lends(memory uint64) agent.Begun {
	n.Helper()
	b, err := n.begin(agent.Request{Name: "a", Devices: 1, Memory: memory, Compute: 300, Mode: "fair", Policy: agent.Lend})
	if err != nil {
		n.Fatal(err)
	}
	return b
}

func (n *node) swap(id, to string) error {
	n.Helper()
	res, err := n.client.Post("http://agent/v1/jobs/"+id+"/swap", "application/json", strings.NewReader(`{"to":"`+to+`"}`))
	if err != nil {
		n.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		return errors.New(res.Status)
	}
	return nil
}

func (n *node) state(want string) {
	n.Helper()
	n.eventually("it is "+want, func() error {
		if j := n.node().Jobs[0]; j.State != want {
			return fmt.Errorf("%+v", j)
		}
		return nil
	})
}

// TestPlaces is what a process is told, and what is believed of it.
func TestPlaces(t *testing.T) {
	n := newLender(t)
	job := n.lends(64 * mib)
	g := connect(t, job.Socket)
	cell := cellOf(t, g)
	if g.arena == 0 || g.rules.Flags != wire.Moves|wire.Swappable || g.rules.Place.Load() != 0 {
		t.Fatalf("arena %d, flags %d, place %d", g.arena, g.rules.Flags, g.rules.Place.Load())
	}
	n.eventually("the arena is there", func() error { return n.swap(job.ID, agent.Out) })
	if g.rules.Place.Load() != 1 || n.node().Jobs[0].State != agent.Leaving {
		t.Errorf("place %d, %+v", g.rules.Place.Load(), n.node().Jobs[0])
	}
	cell.Placed.Store(1)
	g.say(t, wire.Message{Kind: wire.Placed, Lease: 1})
	n.state(agent.Out)
	// It wants to go on; but it is held, and an agent that comes back knows.
	cell.Asleep.Store(1)
	g.say(t, wire.Message{Kind: wire.Asleep})
	n.stop()
	n.start(parts.Device{UUID: "GPU-0", Name: "H100", Memory: gib})
	back := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version, Cell: uint32(g.cell) + 1}
	again, err := hello(t, job.Socket, back, g.cells, g.arena)
	if err != nil {
		t.Fatal(err)
	}
	n.state(agent.Out)
	if again.arena != 0 || again.rules.Place.Load() != 1 {
		t.Errorf("arena %d, place %d", again.arena, again.rules.Place.Load())
	}
	if err := n.swap(job.ID, agent.In); err != nil {
		t.Fatal(err)
	}
	n.state(agent.Returning)
	cell = cellOf(t, again)
	cell.Placed.Store(again.rules.Place.Load())
	cell.Asleep.Store(0)
	again.say(t, wire.Message{Kind: wire.Placed})
	n.state(agent.In)
	// What cannot go out says why, and stays.
	n.eventually("the arena is there", func() error { return n.swap(job.ID, agent.Out) })
	again.say(t, wire.Message{Kind: wire.Unmoved, Lease: again.rules.Place.Load(), Text: "its work does not end"})
	n.eventually("it is called back", func() error {
		if j := n.node().Jobs[0]; j.Stuck != "its work does not end" || j.State != agent.Returning {
			return fmt.Errorf("%+v", j)
		}
		return nil
	})
}

func cellOf(t *testing.T, g *guest) *wire.Cell {
	t.Helper()
	pages := wire.Pages{CellsFile: -1}
	fd, err := unix.Dup(g.cells)
	if err != nil {
		t.Fatal(err)
	}
	if err := pages.Adopt(fd); err != nil {
		t.Fatal(err)
	}
	return &pages.Cells.Cell[g.cell]
}

// TestTheArenaComesBack from the process that has it, and from no other.
func TestTheArenaComesBack(t *testing.T) {
	n := newLender(t)
	job := n.lends(64 * mib)
	first, second := connect(t, job.Socket), connect(t, job.Socket)
	first.use.Charged.Store(mib)
	second.use.Charged.Store(mib)
	n.stop()
	n.start(parts.Device{UUID: "GPU-0", Name: "H100", Memory: gib})
	forged, err := wire.NewArena("forged", 64*mib)
	if err != nil {
		t.Fatal(err)
	}
	defer forged.Close()
	back := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version, Cell: uint32(first.cell) + 1}
	if _, err := hello(t, job.Socket, back, first.cells, forged.File); err != nil {
		t.Fatal(err)
	}
	back.Cell = uint32(second.cell) + 1
	if _, err := hello(t, job.Socket, back, second.cells, second.arena); err != nil {
		t.Fatal(err)
	}
	fresh := connect(t, job.Socket)
	got, err1 := wire.IdentityOf(fresh.arena)
	want, err2 := wire.IdentityOf(second.arena)
	if got != want || errors.Join(err1, err2) != nil {
		t.Errorf("a new process has %+v, not %+v", got, want)
	}
	if a := n.node().Arena; a.Free != a.Memory-64*mib {
		t.Errorf("%+v", a)
	}
	large := agent.Request{Name: "b", Devices: 1, Memory: 300 * mib, Compute: 1, Mode: "fair", Policy: agent.Borrow}
	refusal := "400 the arena must have 300 MiB left so that the job can be swapped, where 192 of 256 MiB are"
	if _, err := n.begin(large); err == nil || !strings.Contains(err.Error(), refusal) {
		t.Errorf("%v, want %s", err, refusal)
	}
}

// TestNothingIsLentBeforeAllAreBack restarts the agent of an owner's two
// processes: as long as one of them may take what the agent before has let it,
// nobody else has that.
func TestNothingIsLentBeforeAllAreBack(t *testing.T) {
	n := newLender(t)
	job := n.lends(64 * mib)
	first, second := connect(t, job.Socket), connect(t, job.Socket)
	first.use.Charged.Store(8 * mib)
	second.use.Charged.Store(8 * mib)
	if _, err := n.begin(agent.Request{Name: "stays", Devices: 1, Memory: gib - 64*mib, Compute: 300, Mode: "fair"}); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n.start(parts.Device{UUID: "GPU-0", Name: "H100", Memory: gib})
	back := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version, Cell: uint32(first.cell) + 1}
	again, err := hello(t, job.Socket, back, first.cells, first.arena)
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.begin(agent.Request{Name: "b", Devices: 1, Memory: 32 * mib, Compute: 300, Mode: "fair", Policy: agent.Borrow})
	if err != nil {
		t.Fatal(err)
	}
	borrower := connect(t, b.Socket)
	cell := cellOf(t, borrower)
	cell.Placed.Store(1)
	cell.Asleep.Store(1)
	borrower.say(t, wire.Message{Kind: wire.Asleep})
	for range 50 { // its arena is there in a moment
		if limit := again.rules.Device[0].MemoryLimit.Load(); limit != 64*mib || borrower.rules.Place.Load() != 1 {
			t.Fatalf("the owner's limit is %d, and who borrows is at %d", limit, borrower.rules.Place.Load())
		}
		time.Sleep(5 * time.Millisecond)
	}
	back.Cell = uint32(second.cell) + 1
	if _, err := hello(t, job.Socket, back, second.cells, second.arena); err != nil {
		t.Fatal(err)
	}
	n.eventually("it is lent", func() error {
		if limit := again.rules.Device[0].MemoryLimit.Load(); limit > 32*mib || borrower.rules.Place.Load() != 2 {
			return fmt.Errorf("the owner's limit is %d, and who borrows is at %d", limit, borrower.rules.Place.Load())
		}
		return nil
	})
}

// TestCellsOfTheNextAgentAreKnownToTheOneAfter restarts the agent of a job that
// has no process, and again when it has two: each of them has its cell again, and
// what the other has counts until it is back.
func TestCellsOfTheNextAgentAreKnownToTheOneAfter(t *testing.T) {
	n := newNode(t)
	job := n.job("a", 300, "fair")
	n.stop()
	n.start()
	first, second := connect(t, job.Socket), connect(t, job.Socket)
	first.use.Charged.Store(mib)
	second.use.Charged.Store(2 * mib)
	n.stop()
	n.start()
	back := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version, Cell: uint32(first.cell) + 1}
	again, err := hello(t, job.Socket, back, first.cells)
	if err != nil {
		t.Fatal(err)
	}
	if again.cell != first.cell || again.use.Charged.Load() != mib || !again.rules.Live(int(second.cell)) {
		t.Errorf("cell %d has %d bytes, and that of the other is live: %v", again.cell, again.use.Charged.Load(),
			again.rules.Live(int(second.cell)))
	}
}

// TestAContextIsAwaited restarts the agent of two processes, of which the one has
// a context and no more: it counts before it is back.
func TestAContextIsAwaited(t *testing.T) {
	w := newWitnessed(t, 256*mib, 300*mib)
	job := w.lends(64 * mib)
	first, second := connect(t, job.Socket), connect(t, job.Socket)
	second.use.Contexts.Store(1)
	w.stop()
	w.again(300 * mib)
	back := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version, Cell: uint32(first.cell) + 1}
	if _, err := hello(t, job.Socket, back, first.cells, first.arena); err != nil {
		t.Fatal(err)
	}
	w.used(300*mib, 300*mib)
}

// TestWhoComesBackIsNotOut has a process lose its connection while its job goes
// out, and come back when the others have: its memory is where it was.
func TestWhoComesBackIsNotOut(t *testing.T) {
	n := newLender(t)
	job := n.lends(64 * mib)
	first, second := connect(t, job.Socket), connect(t, job.Socket)
	second.use.Charged.Store(8 * mib)
	second.use.Swappable.Store(8 * mib)
	n.eventually("the arena is there", func() error { return n.swap(job.ID, agent.Out) })
	second.Close()
	cellOf(t, first).Placed.Store(1)
	first.say(t, wire.Message{Kind: wire.Placed, Lease: 1})
	n.state(agent.Out)
	back := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version, Cell: uint32(second.cell) + 1}
	again, err := hello(t, job.Socket, back, second.cells, second.arena)
	if err != nil {
		t.Fatal(err)
	}
	if j := n.node().Jobs[0]; j.State != agent.Leaving {
		t.Errorf("%+v", j)
	}
	again.use.Swapped.Store(8 * mib)
	cellOf(t, again).Placed.Store(1)
	again.say(t, wire.Message{Kind: wire.Placed, Lease: 1})
	n.state(agent.Out)
}
