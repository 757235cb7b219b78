package machine_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/client"
	"github.com/weir-gpu/weir/node/discover"
	"github.com/weir-gpu/weir/node/library"
	"github.com/weir-gpu/weir/node/witness"
	"github.com/weir-gpu/weir/shim/build"
)

// asked is what this test's own program is to become: a program with a part of
// a device, as weir run starts one.
const asked = "MACHINE_RUN"

type run struct {
	Dir     string
	Request agent.Request
	Args    []string
	Context int // MiB
}

// built is where the shim, the simulated driver and the programs are.
var built string

func TestMain(m *testing.M) {
	if text := os.Getenv(agency); text != "" {
		fmt.Fprintln(os.Stderr, serve(text))
		os.Exit(1)
	}
	if text := os.Getenv(asked); text != "" {
		fmt.Fprintln(os.Stderr, become(text))
		os.Exit(1)
	}
	os.Exit(tests(m))
}

func become(text string) error {
	var r run
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	begun, err := client.New(r.Dir).Begin(context.Background(), r.Request)
	if err != nil {
		return err
	}
	env := []string{"WEIR_PAST=" + begun.Env["LD_LIBRARY_PATH"] + "/driver/libcuda.so.1", fmt.Sprintf("WEIR_SIM_CONTEXT=%d", r.Context)}
	for name, value := range begun.Env {
		env = append(env, name+"="+value)
	}
	return syscall.Exec(r.Args[0], r.Args, env)
}

func tests(m *testing.M) int {
	if _, err := exec.LookPath(build.Compiler()); err != nil {
		fmt.Println("skipped: there is no C compiler")
		return 0
	}
	var err error
	if built, err = os.MkdirTemp("", "weir-machine-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(built)
	_, sim, err := build.Machine(built)
	for _, name := range []string{"hold", "burn", "keep", "views"} {
		if err == nil {
			err = build.Program(filepath.Join(built, name), build.Plain,
				[]string{filepath.Join(sim, "libcuda.so.1"), filepath.Join(sim, "libnvidia-ml.so.1")},
				"../test/machine/program/"+name+".c")
		}
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return m.Run()
}

// node is a machine with simulated devices, its agent and its programs.
type node struct {
	*testing.T
	dir   string
	env   map[string]string
	arena uint64
	idle  time.Duration
	mib   int // of a context
	// stated is what the agent is told that a context takes
	stated uint64
	stop   func()
}

func newNode(t *testing.T, devices string) *node {
	t.Helper()
	n := newFolder(t, devices)
	n.start()
	return n
}

// newFolder makes a node that has no agent yet.
func newFolder(t *testing.T, devices string) *node {
	t.Helper()
	// A socket's path may have 107 bytes, which a test's own folder can exceed.
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	lib := filepath.Join(dir, "lib")
	n := &node{T: t, dir: dir, env: map[string]string{"LD_LIBRARY_PATH": lib,
		"WEIR_SIM": filepath.Join(dir, "sim"), "WEIR_SIM_DEVICES": devices}}
	if err := library.Lay(lib, filepath.Join(built, "shim"), filepath.Join(built, "sim")); err != nil {
		t.Fatal(err)
	}
	return n
}

// start starts an agent, which takes over what the one before has left.
func (n *node) start() {
	n.Helper()
	devices, err := discover.Devices(n.Context(), filepath.Join(built, "shim", "probe"),
		filepath.Join(built, "sim", "libnvidia-ml.so.1"), "WEIR_SIM="+n.env["WEIR_SIM"],
		"WEIR_SIM_DEVICES="+n.env["WEIR_SIM_DEVICES"])
	if err != nil {
		n.Fatal(err)
	}
	look := watch(n.env)
	n.Cleanup(look.Close)
	a, err := agent.New(agent.Options{Dir: n.dir, Devices: devices, Env: n.env, Logger: slog.New(slog.DiscardHandler),
		Arena: n.arena, IdleMemory: n.idle, Witness: look.Look, Context: n.stated})
	if err != nil {
		n.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	n.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			n.Error(err)
		}
		n.stop = func() {}
	}
	n.Cleanup(func() { n.stop() })
	n.eventually("the agent answers", func() error {
		_, err := client.New(n.dir).Node(n.Context())
		return err
	})
}

// watch asks the driver of a node what processes have.
func watch(env map[string]string) *witness.Driver {
	return witness.New(filepath.Join(built, "shim", "probe"), filepath.Join(built, "sim", "libnvidia-ml.so.1"),
		10*time.Second, "WEIR_SIM="+env["WEIR_SIM"], "WEIR_SIM_DEVICES="+env["WEIR_SIM_DEVICES"])
}

func (n *node) eventually(what string, check func() error) {
	n.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	n.Fatalf("not so: %s: %v", what, err)
}

// program is one that has a part of a device.
type program struct {
	*node
	cmd   *exec.Cmd
	lines *bufio.Scanner
	input io.WriteCloser
}

func (n *node) run(r agent.Request, args ...string) *program {
	n.Helper()
	r.Devices, r.Name = max(1, r.Devices), args[0]
	args[0] = filepath.Join(built, args[0])
	text, _ := json.Marshal(run{n.dir, r, args, n.mib})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asked+"="+string(text))
	return n.follow(cmd)
}

// join starts one more process of a job.
func (n *node) join(job string, args ...string) *program {
	n.Helper()
	return n.follow(n.within(job, args...))
}

func (n *node) within(job string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(built, args[0]), args[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("WEIR_SIM_CONTEXT=%d", n.mib), "WEIR_SOCKET="+filepath.Join(n.dir, "jobs", job, "weir.sock"))
	for name, value := range n.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// follow starts a program, and is who talks to it.
func (n *node) follow(cmd *exec.Cmd) *program {
	n.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		n.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &program{n, cmd, bufio.NewScanner(out), in}
}

// line returns the next thing that it says.
func (p *program) line() string {
	p.Helper()
	if !p.lines.Scan() {
		p.Fatalf("%s says nothing more: %v", p.cmd.Path, p.lines.Err())
	}
	return p.lines.Text()
}

// tell says a word to a program and returns its answer.
func (p *program) tell(word string) string {
	p.Helper()
	if _, err := io.WriteString(p.input, word+"\n"); err != nil {
		p.Fatal(err)
	}
	return p.line()
}

// expect tells a word, and wants an answer.
func (p *program) expect(word, answer string) {
	p.Helper()
	if got := p.tell(word); got != answer {
		p.Fatalf("%s: %q, want %q", word, got, answer)
	}
}

// node returns what the agent knows.
func (n *node) node() agent.Node {
	n.Helper()
	out, err := client.New(n.dir).Node(n.Context())
	if err != nil {
		n.Fatal(err)
	}
	return out
}

const gib = 1 << 30

// Two programs have a part of one device each, see no more than that, and have
// all of it; the agent knows of each byte.
func TestEachHasItsMemory(t *testing.T) {
	n := newNode(t, "1x80GiB")
	small := n.run(agent.Request{Memory: 10 * gib, Compute: 250, Mode: "fair"}, "hold", "256")
	large := n.run(agent.Request{Compute: 500, Mode: "strict"}, "hold", "256")
	if got, want := small.line(), "10240 MiB, then error 2; 0 of 10240 MiB free"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := large.line(), "40960 MiB, then error 2; 0 of 40960 MiB free"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, j := range n.node().Jobs {
		if u := j.Parts[0]; u.Used != u.Memory {
			t.Errorf("%s has %d of %d bytes", j.Name, u.Used, u.Memory)
		}
	}
	small.input.Close()
	if err := small.cmd.Wait(); err != nil {
		t.Error(err)
	}
	n.eventually("its part is free", func() error {
		if d := n.node().Devices[0]; d.FreeMemory != 40*gib || d.FreeCompute != 500 {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
}

// An agent that ends and comes back finds everybody with what they have, and
// they are held to it all the while.
func TestProgramsOutliveTheAgent(t *testing.T) {
	n := newNode(t, "1x80GiB")
	p := n.run(agent.Request{Memory: 4 * gib, Compute: 250, Mode: "fair"}, "hold", "512")
	if got, want := p.line(), "4096 MiB, then error 2; 0 of 4096 MiB free"; got != want {
		t.Fatalf("%q, want %q", got, want)
	}
	n.stop()
	time.Sleep(100 * time.Millisecond)
	n.start()
	n.eventually("the agent knows what it has", func() error {
		jobs := n.node().Jobs
		if len(jobs) != 1 || len(jobs[0].Processes) != 1 || jobs[0].Parts[0].Used != 4*gib {
			return fmt.Errorf("%+v", jobs)
		}
		return nil
	})
	p.input.Close()
	if got := p.line(); got != "in the end error 2" {
		t.Errorf("%q", got)
	}
}

// Who is killed leaves nothing behind, and nobody waits for it for long.
func TestTheKilledHoldNothing(t *testing.T) {
	n := newNode(t, "1x80GiB")
	other := n.run(agent.Request{Memory: gib, Compute: 500, Mode: "fair"}, "burn", "1000", "8")
	for range 5 {
		victim := n.run(agent.Request{Memory: gib, Compute: 500, Mode: "fair"}, "burn", "5000", "60")
		n.eventually("it has the device", func() error {
			for _, j := range n.node().Jobs {
				if j.Leader == victim.cmd.Process.Pid && j.Parts[0].Launches > 0 {
					return nil
				}
			}
			return fmt.Errorf("it has not")
		})
		_ = victim.cmd.Process.Kill()
		_ = victim.cmd.Wait()
		n.eventually("its part is free", func() error {
			if d := n.node().Devices[0]; d.FreeCompute != 500 || d.FreeMemory != 79*gib {
				return fmt.Errorf("%+v", d)
			}
			return nil
		})
	}
	var said struct{ Share float64 }
	if err := json.Unmarshal([]byte(other.line()), &said); err != nil || said.Share < 50 {
		t.Errorf("it had %.1f%% of the device, %v", said.Share, err)
	}
}

// A program cannot be begun on more than there is, and is told what there is.
func TestTooMuchIsRefused(t *testing.T) {
	n := newNode(t, "2x16GiB")
	n.run(agent.Request{Compute: 700, Mode: "fair", Devices: 2}, "hold", "64").line()
	_, err := client.New(n.dir).Begin(t.Context(), agent.Request{Name: "x", Devices: 1, Compute: 400, Mode: "fair"})
	if err == nil || !strings.Contains(err.Error(), "GPU 1 6553 MiB of memory and 400 thousandths of compute free, where 4915 and 300 are") {
		t.Errorf("%v", err)
	}
}
