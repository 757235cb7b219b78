// Package test tries the shim against the simulated driver: programs in C (c),
// the shim in front of the driver, and a small agent.
package test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gpu/weir/shim/build"
)

// MiB is what memory is counted in here.
const MiB = 1 << 20

// built is one folder for each kind of build, made when it is first asked for:
// the shim, the driver in its place beside it, and the programs.
type built struct {
	once sync.Once
	dir  string
	err  error
}

var builds = map[build.Check]*built{build.Plain: {}, build.Address: {}, build.Thread: {}}

// programs are those of the folder c, by their sources from there; those that
// call the driver are linked with it.
var programs = map[string]struct {
	driver  bool
	sources []string
}{
	"agent":        {false, []string{"test/c/agent.c", "test/c/arbiter.c", "test/c/lender.c"}},
	"ledger_test":  {false, []string{"test/c/ledger_test.c", "ledger.c"}},
	"arena_test":   {false, []string{"test/c/arena_test.c", "arena.c"}},
	"table_test":   {false, []string{"test/c/table_test.c", "table.c"}},
	"memory_test":  {true, []string{"test/c/memory_test.c", "test/c/families.c"}},
	"loading_test": {true, []string{"test/c/loading_test.c"}},
	"static_test":  {false, []string{"test/c/static_test.c"}},
	"compute_test": {true, []string{"test/c/compute_test.c"}},
	"gated_test":   {true, []string{"test/c/gated_test.c"}},
	"steps_test":   {true, []string{"test/c/steps_test.c"}},
	"null_test":    {true, []string{"test/c/null_test.c"}},
	"swap_test":    {true, []string{"test/c/swap_test.c"}},
	"fuzz_test":    {true, []string{"test/c/fuzz_test.c", "test/c/fuzz_values.c", "test/c/fuzz_calls.c"}},
}

func (b *built) make(check build.Check) {
	if b.dir, b.err = os.MkdirTemp("", "weir-shim"); b.err != nil {
		return
	}
	driver := filepath.Join(b.dir, "driver")
	// The driver is not what is tried here: it is as any driver is.
	if b.err = errors.Join(build.Sim(driver, build.Plain), build.Shim(b.dir, check)); b.err != nil {
		return
	}
	for name, p := range programs {
		var libraries []string
		if p.driver {
			libraries = []string{filepath.Join(driver, "libcuda.so.1"), filepath.Join(driver, "libnvidia-ml.so.1")}
		}
		b.err = errors.Join(b.err, build.Program(filepath.Join(b.dir, name), check, libraries, p.sources...))
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, b := range builds {
		if b.dir != "" {
			os.RemoveAll(b.dir)
		}
	}
	os.Exit(code)
}

// world is one simulated node: devices of its own, and agents.
type world struct {
	t     *testing.T
	build string // folder
	dir   string
}

func newWorld(t *testing.T, check build.Check) *world {
	t.Helper()
	if _, err := exec.LookPath(build.Compiler()); err != nil {
		t.Skip("there is no C compiler")
	}
	b := builds[check]
	b.once.Do(func() { b.make(check) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	// Not t.TempDir(): the name of a socket may have 107 bytes.
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &world{t: t, build: b.dir, dir: dir}
}

// container is what an agent is told of one: its name is that of its socket.
type container struct {
	name   string
	memory uint64
	share  int // thousandths
	mode   string
}

// agent starts an agent for containers; it is killed by the answer, or at the end of the test.
func (w *world) agent(containers ...container) (kill func()) {
	w.t.Helper()
	kill, _ = w.agentProcess(containers...)
	return kill
}

func (w *world) agentProcess(containers ...container) (kill func(), process *os.Process) {
	w.t.Helper()
	var args []string
	for _, c := range containers {
		args = append(args, fmt.Sprintf("%s,%d,%d,%s", w.socket(c.name), c.memory, c.share, c.mode))
	}
	cmd := exec.Command(filepath.Join(w.build, "agent"), args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		w.t.Fatalf("the agent says %q: %v", line, err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	w.t.Cleanup(kill)
	return kill, cmd.Process
}

func (w *world) socket(name string) string { return filepath.Join(w.dir, name) }

// process is a program that runs in a container.
type process struct {
	cmd *exec.Cmd
	out strings.Builder
}

// start starts a program in a container; without one if the name is empty.
func (w *world) start(ctx context.Context, in, name string, args ...string) *process {
	w.t.Helper()
	return w.startReading(ctx, nil, in, name, args...)
}

// startReading is start for a program that reads.
func (w *world) startReading(ctx context.Context, input io.Reader, in, name string, args ...string) *process {
	w.t.Helper()
	p := w.process(ctx, in, name, args...)
	p.cmd.Stdin = input
	w.begin(p)
	return p
}

// driver is the folder of the driver itself.
func (w *world) driver() string { return filepath.Join(w.build, "driver") }

// process is a program in a container that has not begun.
func (w *world) process(ctx context.Context, in, name string, args ...string) *process {
	p := &process{cmd: exec.CommandContext(ctx, filepath.Join(w.build, name), args...)}
	p.cmd.Env = append(os.Environ(),
		"LD_LIBRARY_PATH="+w.build,
		"DRIVER="+filepath.Join(w.driver(), "libcuda.so.1"),
		"WEIR_SIM="+filepath.Join(w.dir, "sim"),
		"WEIR_SIM_DEVICES=1x80GiB",
		"WEIR_SIM_CONTEXT=0",
		"WEIR_SOCKET="+w.socket(in),
		"ASAN_OPTIONS=detect_leaks=0:abort_on_error=0",
		"TSAN_OPTIONS=halt_on_error=1 die_after_fork=0",
	)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	return p
}

func (w *world) begin(p *process) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Join(w.dir, "sim"), 0o777); err != nil {
		w.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
}

// wait is what the program printed, when it has ended well.
func (w *world) wait(p *process) string {
	w.t.Helper()
	if err := p.cmd.Wait(); err != nil {
		w.t.Errorf("%s: %v\n%s", strings.Join(p.cmd.Args[1:], " "), err, p.out.String())
	}
	return strings.TrimSpace(p.out.String())
}

// run runs a program in a container to its end.
func (w *world) run(in, name string, args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return w.wait(w.start(ctx, in, name, args...))
}

// stop kills a process as the kernel does one that has taken too much.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// everyBuild runs a test plain and with each of the compiler's checks.
func everyBuild(t *testing.T, do func(t *testing.T, check build.Check)) {
	checks := map[string]build.Check{"plain": build.Plain, "address": build.Address, "thread": build.Thread}
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && check != build.Plain {
				t.Skip("plain only")
			}
			do(t, check)
		})
	}
}
