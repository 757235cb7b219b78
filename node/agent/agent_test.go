package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/arbiter"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

const gib = 1 << 30

// node is an agent of one test, and who asks it.
type node struct {
	testing.TB
	dir    string
	arena  uint64
	client *http.Client
	stop   func()
}

func newNode(t testing.TB, devices ...parts.Device) *node {
	n := &node{TB: t, dir: t.TempDir()}
	n.client = clientOf(n)
	n.start(devices...)
	return n
}

// clientOf asks the agent of a node.
func clientOf(n *node) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(n.dir, agent.Socket))
		}}}
}

// start starts an agent in the node's folder, and waits until it answers.
func (n *node) start(devices ...parts.Device) {
	n.Helper()
	if len(devices) == 0 {
		devices = []parts.Device{{UUID: "GPU-0", Name: "H100", Memory: 80 * gib}}
	}
	k := run(n, agent.Options{Dir: n.dir, Devices: devices, Leases: arbiter.Usual, Arena: n.arena})
	n.stop = func() { k.stop() }
	n.eventually("the agent answers", func() error { _, err := n.client.Get("http://agent/v1/node"); return err })
}

func (n *node) eventually(what string, check func() error) {
	n.Helper()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	n.Fatalf("not so: %s: %v", what, err)
}

// begin asks for a job of this test's own process.
func (n *node) begin(r agent.Request) (agent.Begun, error) {
	n.Helper()
	text, _ := json.Marshal(r)
	res, err := n.client.Post("http://agent/v1/jobs", "application/json", bytes.NewReader(text))
	if err != nil {
		n.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	var begun agent.Begun
	if res.StatusCode != http.StatusCreated {
		var no agent.Refusal
		_ = json.Unmarshal(body, &no)
		return begun, fmt.Errorf("%d %s", res.StatusCode, no.Error)
	}
	return begun, json.Unmarshal(body, &begun)
}

func (n *node) job(name string, compute int64, mode string) agent.Begun {
	n.Helper()
	b, err := n.begin(agent.Request{Name: name, Devices: 1, Memory: 10 * gib, Compute: compute, Mode: mode})
	if err != nil {
		n.Fatal(err)
	}
	return b
}

func (n *node) node() (out agent.Node) {
	n.Helper()
	res, err := n.client.Get("http://agent/v1/node")
	if err != nil {
		n.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		n.Fatal(err)
	}
	return out
}

// guest is a process of a job, as far as the agent can tell: it does what the
// shim does, with nothing behind it.
type guest struct {
	*net.UnixConn
	rules *wire.Rules
	use   *wire.Use
	cell  int
	cells int // the descriptor
	arena int // the same; 0: none was given
}

func connect(t testing.TB, socket string) *guest {
	t.Helper()
	g, err := hello(t, socket, wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func hello(t testing.TB, socket string, m wire.Message, show ...int) (*guest, error) {
	t.Helper()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	if _, _, err := c.WriteMsgUnix(m.Append(nil), unix.UnixRights(show...), nil); err != nil {
		return nil, err
	}
	b, oob := make([]byte, wire.MessageSize), make([]byte, 64)
	k, o, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, err
	}
	got, err := wire.Parse(b[:k])
	if err != nil {
		return nil, err
	}
	if got.Kind != wire.Welcome {
		return nil, fmt.Errorf("refused: %s", got.Text)
	}
	control, err := unix.ParseSocketControlMessage(oob[:o])
	if err != nil {
		return nil, err
	}
	fds, err := unix.ParseUnixRights(&control[0])
	if err != nil {
		return nil, err
	}
	rules, err := unix.Mmap(fds[0], 0, int(unsafe.Sizeof(wire.Rules{})), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	cells, err := unix.Mmap(fds[1], 0, int(unsafe.Sizeof(wire.CellTable{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	unix.Close(fds[0])
	t.Cleanup(func() { unix.Close(fds[1]) })
	arena := 0
	if len(fds) > 2 {
		arena = fds[2]
		t.Cleanup(func() { unix.Close(arena) })
	}
	g := &guest{UnixConn: c, cells: fds[1], arena: arena, rules: (*wire.Rules)(unsafe.Pointer(&rules[0])), cell: int(got.Cell)}
	g.use = &(*wire.CellTable)(unsafe.Pointer(&cells[0])).Cell[g.cell].Device[0]
	return g, nil
}

func clock() uint64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return uint64(t.Nano())
}

// lease waits for one and begins to work in it; 0 when none comes in time.
func (g *guest) lease(t testing.TB, patience time.Duration) uint32 {
	t.Helper()
	r := &g.rules.Device[0]
	g.use.Hungry.Store(1)
	g.say(t, wire.Message{Kind: wire.Want})
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Microsecond) {
		gate := r.Gate.Load()
		if gate%2 == 0 || clock() >= r.LeaseUntil.Load() {
			continue
		}
		g.use.Began.Store(gate)
		if r.Gate.Load() == gate {
			g.use.Hungry.Store(0)
			return gate
		}
	}
	return 0
}

// work uses a lease to its end in kernels, and gives it back.
func (g *guest) work(t testing.TB, lease uint32, kernel time.Duration, before func()) {
	t.Helper()
	r := &g.rules.Device[0]
	for r.Gate.Load() == lease && clock() < r.LeaseUntil.Load() {
		time.Sleep(kernel)
		g.use.Launches.Add(1)
	}
	before()
	g.use.Ended.Store(lease)
	g.say(t, wire.Message{Kind: wire.Done, Lease: lease})
}

func (g *guest) say(t testing.TB, m wire.Message) {
	t.Helper()
	if _, err := g.Write(m.Append(nil)); err != nil {
		t.Error(err)
	}
}

func TestJobsHaveTheirParts(t *testing.T) {
	n := newNode(t)
	a := n.job("a", 300, "strict")
	g := connect(t, a.Socket)
	if r := &g.rules.Device[0]; g.rules.Devices != 1 || r.MemoryLimit.Load() != 10*gib || r.Share != 300 || r.Mode != wire.Strict {
		t.Errorf("%d devices, %d bytes, share %d, mode %d", g.rules.Devices, r.MemoryLimit.Load(), r.Share, r.Mode)
	}
	if age := clock() - g.rules.Beat.Load(); age > wire.DeadAfter/2 {
		t.Errorf("the last beat was %d ns ago", age)
	}
	g.use.Charged.Store(3 * gib)
	out := n.node()
	if len(out.Jobs) != 1 || out.Jobs[0].Parts[0].Used != 3*gib || out.Jobs[0].Processes[0] != os.Getpid() {
		t.Errorf("%+v", out)
	}
	if d := out.Devices[0]; d.FreeMemory != 70*gib || d.FreeCompute != 700 {
		t.Errorf("%+v", d)
	}
	_, err := n.begin(agent.Request{Name: "b", Devices: 1, Memory: 71 * gib, Compute: 100, Mode: "fair"})
	if want := "409 1 of 1 GPUs must have GPU 0 72704 MiB of memory and 100 thousandths of compute free, " +
		"where 71680 and 700 are: wait until a job ends, or ask for less"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestFoldersOfOthersAreRefused tries one that anybody may write.
func TestFoldersOfOthersAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := agent.New(agent.Options{Dir: dir, Devices: []parts.Device{{Memory: gib}}})
	if err == nil || !strings.Contains(err.Error(), "with mode 777: give the agent a folder that only its own user may write") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	n := newNode(t)
	for want, r := range map[string]agent.Request{
		`400 mode is "": write strict or fair`:                         {Name: "x", Devices: 1, Memory: 1, Compute: 1},
		`400 name is "": write 1 to 381 characters`:                    {Devices: 1, Memory: 1, Compute: 1, Mode: "fair"},
		`400 2 devices are asked for, and there are 1: ask for 1 to 1`: {Name: "x", Devices: 2, Memory: 1, Compute: 1, Mode: "fair"},
		`400 neither memory nor compute is asked for: ask for some`:    {Name: "x", Devices: 1, Mode: "fair"},
	} {
		if _, err := n.begin(r); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", r, err, want)
		}
	}
	job := n.job("a", 300, "fair")
	for want, m := range map[string]wire.Message{
		"a process must say hello first":                     {Kind: wire.Want},
		"speaks version 9 and the agent 3: install the shim": {Kind: wire.Hello, Device: wire.Magic, Lease: 9},
	} {
		if _, err := hello(t, job.Socket, m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", m, err, want)
		}
	}
	g := connect(t, job.Socket)
	g.say(t, wire.Message{Kind: wire.Want, Device: 7})
	b := make([]byte, wire.MessageSize)
	k, _ := g.Read(b)
	if m, err := wire.Parse(b[:k]); err != nil || !strings.Contains(m.Text, "speaks of device 7, and the job has 1") {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestLeasesAlternate lets two want the device all the time: they never have it
// together, and who has the larger share has more of it. How much more is
// tested where time is not that of a busy machine, in package arbiter.
func TestLeasesAlternate(t *testing.T) {
	n := newNode(t)
	var inside atomic.Int32
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i, share := range []int64{250, 750} {
		g := connect(t, n.job(fmt.Sprint(i), share, "fair").Socket)
		all.Go(func() {
			for ctx.Err() == nil {
				lease := g.lease(t, time.Second)
				if lease == 0 {
					continue
				}
				if inside.Add(1) > 1 {
					t.Error("both have the device")
				}
				g.work(t, lease, time.Millisecond, func() { inside.Add(-1) })
			}
		})
	}
	all.Wait()
	jobs := n.node().Jobs
	few, many := jobs[0].Parts[0], jobs[1].Parts[0]
	if held := few.Held + many.Held; held < 2e9 || held > 4e9 || few.Leases < 5 {
		t.Errorf("%+v and %+v in three seconds", few, many)
	}
	if ratio := float64(many.Held) / float64(few.Held); ratio < 1.2 {
		t.Errorf("they held it for %d and %d ms, and the second has three times the share", few.Held/1e6, many.Held/1e6)
	}
}

var kills = flag.Int("kills", 20, "how many lease holders die")

// TestWhoDiesHoldsNothing ends processes in the middle of their leases: nobody
// waits for them as for one that runs over.
func TestWhoDiesHoldsNothing(t *testing.T) {
	n := newNode(t)
	victim, other := n.job("victim", 500, "fair"), n.job("other", 500, "fair")
	g := connect(t, other.Socket)
	worst := time.Duration(0)
	for round := range *kills {
		v := connect(t, victim.Socket)
		v.use.Charged.Store(gib)
		if v.lease(t, time.Second) == 0 {
			t.Fatal("no lease")
		}
		v.Close()
		began := time.Now()
		lease := g.lease(t, 2*time.Second)
		if took := time.Since(began); lease == 0 || took > time.Duration(arbiter.Usual.Patience) {
			t.Fatalf("round %d: the other had its lease after %v", round, took)
		} else {
			worst = max(worst, took)
		}
		g.use.Ended.Store(lease)
		g.say(t, wire.Message{Kind: wire.Done, Lease: lease})
	}
	t.Logf("%d killed, and nobody waited for longer than %v; a lease has %v", *kills, worst.Round(time.Millisecond),
		time.Duration(arbiter.Usual.Lease))
	res, err := n.client.Get("http://agent/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text := string(must(io.ReadAll(res.Body)))
	for _, want := range []string{`weir_node_compute_ratio{gpu="0",job="j1",name="victim"} 0.5`,
		`weir_node_leases_total{gpu="0",job="j2",name="other"} `, `weir_node_memory_free_bytes{gpu="0"} 6.442450944e+10`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	n.eventually("nothing is charged to it", func() error {
		for _, j := range n.node().Jobs {
			if j.Name == "victim" && (j.Parts[0].Used != 0 || len(j.Processes) != 0) {
				return fmt.Errorf("%+v", j)
			}
		}
		return nil
	})
}

// TestAnAgentThatComesBack takes over what lives, and drops what does not.
func TestAnAgentThatComesBack(t *testing.T) {
	n := newNode(t)
	mine := n.job("mine", 300, "strict")
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	n.stop()
	// The job of a process that ended while no agent was there.
	path := filepath.Join(n.dir, "jobs", "j9")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(must(os.ReadFile(filepath.Join(n.dir, "jobs", mine.ID, "job.json")))),
		fmt.Sprintf(`"leader":%d`, os.Getpid()), fmt.Sprintf(`"leader":%d`, dead.Process.Pid), 1)
	if err := os.WriteFile(filepath.Join(path, "job.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	n.eventually("the dead job is over, when nobody has come back", func() error {
		if out := n.node(); len(out.Jobs) != 1 || out.Jobs[0].ID != mine.ID || out.Devices[0].FreeCompute != 700 {
			return fmt.Errorf("%+v", out)
		}
		return nil
	})
	if g := connect(t, mine.Socket); g.rules.Device[0].Share != 300 {
		t.Errorf("its share is %d", g.rules.Device[0].Share)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the dead job's folder: %v", err)
	}
}

// TestProcessesComeBack to the agent that comes back: what they have counts
// from the first one on, and what does not come back counts no more in the end.
func TestProcessesComeBack(t *testing.T) {
	n := newNode(t)
	job := n.job("a", 300, "fair")
	first, second := connect(t, job.Socket), connect(t, job.Socket)
	first.use.Charged.Store(2 * gib)
	second.use.Charged.Store(3 * gib)
	n.stop()
	n.start()
	fresh := make(chan *guest)
	go func() { fresh <- connect(t, job.Socket) }() // waits for those who were there
	time.Sleep(100 * time.Millisecond)
	back := wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version, Cell: uint32(second.cell) + 1}
	again, err := hello(t, job.Socket, back, second.cells)
	if err != nil || again.cell != second.cell || again.use.Charged.Load() != 3*gib || !again.rules.Live(first.cell) {
		t.Fatalf("%+v, %v", again, err)
	}
	if g := <-fresh; g.cell == first.cell || g.cell == second.cell {
		t.Errorf("a new process was given cell %d", g.cell)
	}
	// Who shows other memory has a new cell.
	fd, err := unix.MemfdCreate("forged", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	back.Cell = uint32(first.cell) + 1
	if forged, err := hello(t, job.Socket, back, fd); err != nil || forged.cell == first.cell {
		t.Errorf("%+v, %v", forged, err)
	}
	n.eventually("who did not come back counts no more", func() error {
		if again.rules.Live(first.cell) {
			return errors.New("it does")
		}
		return nil
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
