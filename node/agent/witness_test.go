package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
	"github.com/weir-gpu/weir/node/witness"
)

// witnessed is a node whose driver says what the test says.
type witnessed struct {
	*node
	looks chan any // a Look, or an error
	asked chan bool
	// asking says that it has asked, and has no answer yet.
	asking bool
	at     int64
	agent  *agent.Agent
}

func newWitnessed(t *testing.T, arena, context uint64) *witnessed {
	w := &witnessed{node: newNode(t), looks: make(chan any), asked: make(chan bool), at: int64(clock())}
	w.stop()
	w.arena = arena
	w.again(context)
	return w
}

// again starts the next agent.
func (w *witnessed) again(contextBytes uint64) {
	w.Helper()
	k := run(w, agent.Options{Dir: w.dir, Devices: []parts.Device{{UUID: "GPU-0", Name: "H100", Memory: gib}},
		Arena: w.arena, Witness: w.look, WitnessEvery: time.Millisecond, Context: contextBytes})
	w.agent, w.stop = k.Agent, func() { k.stop() }
	w.asking = false
}

func (w *witnessed) look(ctx context.Context) (witness.Look, error) {
	select {
	case w.asked <- true:
	case <-ctx.Done():
		return witness.Look{}, ctx.Err()
	}
	select {
	case l := <-w.looks:
		if err, failed := l.(error); failed {
			return witness.Look{}, err
		}
		return l.(witness.Look), nil
	case <-ctx.Done():
		return witness.Look{}, ctx.Err()
	}
}

// say is the driver's next word, a second after the last one. When it returns
// the agent has taken it in and asks again.
func (w *witnessed) say(processes witness.Processes) {
	w.asksAgain()
	w.at += 1e9
	w.tell(witness.Look{At: w.at, Devices: map[string]witness.Processes{"GPU-0": processes}})
}

func (w *witnessed) tell(word any) {
	w.asksAgain()
	w.looks <- word
	w.asking = false
	w.asksAgain()
}

// asksAgain waits until the agent has noted what it was told, and asks.
func (w *witnessed) asksAgain() {
	if !w.asking {
		<-w.asked
		w.asking = true
	}
}

func (w *witnessed) used(want, overhead uint64) {
	w.Helper()
	if u := w.node.node().Jobs[0].Parts[0]; u.Used != want || u.Overhead != overhead {
		w.Errorf("%d MiB are used, %d of it overhead; want %d and %d", u.Used/mib, u.Overhead/mib, want/mib, overhead/mib)
	}
}

// What a process has by the driver's word beyond what it charges is its job's,
// once two looks agree and if it changed nothing itself meanwhile; and it is
// what the next one is expected to have.
func TestOverheadIsMeasured(t *testing.T) {
	w := newWitnessed(t, 0, 0)
	job, err := w.begin(agent.Request{Name: "a", Devices: 1, Memory: 512 * mib, Compute: 300, Mode: "fair"})
	if err != nil {
		t.Fatal(err)
	}
	g := connect(t, job.Socket)
	cell, pid := cellOf(t, g), os.Getpid()
	g.use.Charged.Store(100 * mib)
	g.use.Contexts.Store(1)
	w.tell(witness.Look{At: w.at}) // of no device: nothing is learned from it
	w.say(witness.Processes{pid: 400 * mib})
	w.used(100*mib, 0)
	w.say(witness.Processes{pid: 400 * mib})
	w.used(400*mib, 300*mib)
	if r := &g.rules.Device[0]; r.Context.Load() != 300*mib || g.rules.PID[g.cell].Load() != uint32(pid) {
		t.Errorf("a context is expected to take %d MiB, process %d", r.Context.Load()/mib, g.rules.PID[g.cell].Load())
	}
	// What it takes and gives back while the driver is asked is not mistaken for more.
	for range 3 {
		cell.Changes.Add(1)
		w.say(witness.Processes{pid: 500 * mib})
	}
	w.used(400*mib, 300*mib)
	for range 3 { // and a driver that cannot say is not believed to say nothing
		w.say(witness.Processes{pid: witness.Unknown})
	}
	w.used(400*mib, 300*mib)
	// A second context is expected to take as much, until it is measured.
	g.use.Contexts.Store(2)
	w.used(700*mib, 600*mib)
	for range 2 {
		w.say(witness.Processes{pid: 650 * mib})
	}
	w.used(650*mib, 550*mib)
	// The next agent knows what a context takes.
	w.stop()
	w.again(0)
	if d := w.node.node().Devices[0]; d.Context != 300*mib {
		t.Errorf("it knows of %d MiB", d.Context/mib)
	}
	w.stop()
	w.again(77 * mib)
	if d := w.node.node().Devices[0]; d.Context != 77*mib {
		t.Errorf("stated are 77 MiB, and it goes by %d", d.Context/mib)
	}
}

// A context is counted before the driver is asked for it, which takes its time:
// who looks meanwhile neither takes it for nothing nor learns from it.
func TestAContextIsOnItsWay(t *testing.T) {
	w := newWitnessed(t, 0, 0)
	job, err := w.begin(agent.Request{Name: "a", Devices: 1, Memory: 900 * mib, Compute: 300, Mode: "fair"})
	if err != nil {
		t.Fatal(err)
	}
	g, pid := connect(t, job.Socket), os.Getpid()
	w.say(witness.Processes{})
	g.use.Contexts.Store(1)
	w.say(witness.Processes{}) // for the first it may have asked before
	w.say(witness.Processes{})
	for range 3 {
		w.say(witness.Processes{pid: 300 * mib})
	}
	w.used(300*mib, 300*mib)
	if got := g.rules.Device[0].Context.Load(); got != 300*mib {
		t.Fatalf("a context is expected to take %d MiB", got/mib)
	}
	g.use.Contexts.Store(2)
	w.say(witness.Processes{pid: 300 * mib})
	for _, has := range []uint64{300, 400, 400} {
		w.at -= 7e8 // it looks more often
		w.say(witness.Processes{pid: has * mib})
		w.used(600*mib, 600*mib)
	}
	for range 3 {
		w.say(witness.Processes{pid: 550 * mib})
	}
	w.used(550*mib, 550*mib)
}

// Who is of no job is shown once it has been there for a while; what the driver
// does not say is counted.
func TestStrangers(t *testing.T) {
	w := newWitnessed(t, 0, 0)
	for i := range 8 {
		w.say(witness.Processes{1: 30 * mib})
		if s := w.node.node().Devices[0].Strangers; len(s) != map[bool]int{true: 1}[i > 5] {
			t.Errorf("after %d s: %+v", i, s)
		}
	}
	if s := w.node.node().Devices[0].Strangers; len(s) != 1 || s[0].PID != 1 || s[0].Bytes != 30*mib {
		t.Errorf("%+v", s)
	}
	w.asksAgain()
	w.looks <- errors.New("the driver is tired")
	w.asking = false
	w.eventually("the agent is blind", func() error {
		if n := w.node.node().Watch; !n.Blind || n.Failures != 1 {
			return fmt.Errorf("%+v", n)
		}
		return nil
	})
	w.say(witness.Processes{})
	if n := w.node.node(); n.Watch.Blind || len(n.Devices[0].Strangers) != 0 {
		t.Errorf("%+v", n)
	}
}

// What processes of a container have that never said hello is its own: all of
// its processes are to see it, and nobody is shown as a stranger.
func TestWhoNeverSaidHello(t *testing.T) {
	w := newWitnessed(t, 0, 0)
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	silent := exec.Command("sleep", "60")
	if err := silent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Process.Kill(); _ = silent.Wait() }()
	held, err := w.agent.Hold(agent.Hold{By: "pod", Within: []string{strings.TrimSpace(string(groups))}},
		agent.Request{Name: "ml/train", Mode: "fair"}, []parts.Part{{Memory: 512 * mib, Compute: 300}})
	if err != nil {
		t.Fatal(err)
	}
	g := connect(t, filepath.Join(held.Door, "weir.sock"))
	for range 8 {
		w.say(witness.Processes{silent.Process.Pid: 70 * mib})
	}
	w.used(70*mib, 70*mib)
	if n := w.node.node(); g.rules.Device[0].Unseen.Load() != 70*mib || len(n.Devices[0].Strangers) != 0 {
		t.Errorf("%d MiB, strangers %+v", g.rules.Device[0].Unseen.Load()/mib, n.Devices[0].Strangers)
	}
	w.say(witness.Processes{})
	w.used(0, 0)
}

// A job that borrows is promised one context, as that cannot leave.
func TestBorrowersArePromisedAContext(t *testing.T) {
	w := newWitnessed(t, 2*gib, 300*mib)
	borrow := agent.Request{Name: "b", Devices: 1, Memory: 512 * mib, Compute: 300, Mode: "fair", Policy: agent.Borrow}
	for range 2 {
		if _, err := w.begin(borrow); err != nil {
			t.Fatal(err)
		}
	}
	if d := w.node.node().Devices[0]; d.FreeMemory != gib-600*mib {
		t.Errorf("%d MiB are free", d.FreeMemory/mib)
	}
	if _, err := w.begin(agent.Request{Name: "a", Devices: 1, Memory: 400 * mib, Compute: 300, Mode: "fair"}); err != nil {
		t.Error(err)
	}
	_, err := w.begin(borrow)
	if err == nil || err.Error() != "409 1 of 1 GPUs must have memory for one context that nobody was promised, and 0 have: wait until a job ends, or ask for less" {
		t.Errorf("%v", err)
	}
	g := connect(t, w.node.dir+"/jobs/j1/weir.sock")
	if g.rules.Device[0].MemoryPromised != 300*mib {
		t.Errorf("it may have %d MiB that cannot be swapped", g.rules.Device[0].MemoryPromised/mib)
	}
}

// One that began before it was known what a context takes is promised it then,
// as far as there is room.
func TestBorrowersArePromisedWhatIsLearned(t *testing.T) {
	w := newWitnessed(t, 2*gib, 0)
	borrow := agent.Request{Name: "b", Devices: 1, Memory: 512 * mib, Compute: 300, Mode: "fair", Policy: agent.Borrow}
	for range 2 {
		if _, err := w.begin(borrow); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.begin(agent.Request{Name: "a", Devices: 1, Memory: 600 * mib, Compute: 300, Mode: "fair"}); err != nil {
		t.Fatal(err)
	}
	g := connect(t, w.node.dir+"/jobs/j3/weir.sock")
	g.use.Contexts.Store(1)
	for range 3 { // for the first the agent had asked before
		w.say(witness.Processes{os.Getpid(): 300 * mib})
	}
	promised := uint64(0)
	for _, job := range []string{"j1", "j2"} {
		promised += connect(t, w.node.dir+"/jobs/"+job+"/weir.sock").rules.Device[0].MemoryPromised
	}
	if d := w.node.node().Devices[0]; promised != 300*mib || d.FreeMemory != gib-900*mib {
		t.Errorf("%d MiB are promised, %d free", promised/mib, d.FreeMemory/mib)
	}
}

// A job is not believed that it is out before the driver was asked, and nobody
// comes in on what it keeps.
func TestWhatIsKeptIsNotLent(t *testing.T) {
	w := newWitnessed(t, 2*gib, 10*mib)
	job := w.lends(800 * mib)
	g := connect(t, job.Socket)
	cell := cellOf(t, g)
	g.use.Charged.Store(700 * mib)
	g.use.Swappable.Store(700 * mib)
	g.use.Contexts.Store(1)
	w.say(witness.Processes{os.Getpid(): 710 * mib})
	w.eventually("the arena is there", func() error { return w.swap(job.ID, agent.Out) })
	g.use.Swapped.Store(700 * mib)
	cell.Placed.Store(1)
	g.say(t, wire.Message{Kind: wire.Placed, Lease: 1})
	w.state(agent.Out)
	w.at = int64(clock())
	w.say(witness.Processes{os.Getpid(): 710 * mib})
	other, err := w.begin(agent.Request{Name: "b", Devices: 1, Memory: 330 * mib, Compute: 300, Mode: "fair", Policy: agent.Borrow})
	if err != nil {
		t.Fatal(err)
	}
	h := connect(t, other.Socket)
	mine := cellOf(t, h)
	mine.Placed.Store(1)
	mine.Asleep.Store(1)
	h.say(t, wire.Message{Kind: wire.Asleep})
	time.Sleep(2 * time.Second) // its arena is there by now
	if h.rules.Place.Load() != 1 {
		t.Error("the other came in on memory that is still there")
	}
	w.say(witness.Processes{os.Getpid(): 10 * mib})
	w.eventually("the other comes in", func() error {
		if h.rules.Place.Load() != 2 {
			return errors.New("it does not")
		}
		return nil
	})
}
