package machine_test

import (
	"context"
	"encoding/json"
	"fmt"
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
	"github.com/weir-gpu/weir/node/parts"
)

// agency is what this test's own program is to become: an agent that can be
// killed.
const agency = "MACHINE_AGENT"

func serve(text string) error {
	o := agent.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))}
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	var where struct{ Built string }
	if err := json.Unmarshal([]byte(text), &where); err != nil {
		return err
	}
	built = where.Built
	o.Witness = watch(o.Env).Look
	a, err := agent.New(o)
	if err != nil {
		return err
	}
	return a.Run(context.Background())
}

// apart is a node whose agent is a process of its own.
type apart struct {
	*node
	devices []parts.Device
	agent   *exec.Cmd
}

func newApart(t *testing.T, devices string, arena uint64) *apart {
	t.Helper()
	n := &apart{node: newFolder(t, devices)}
	n.arena = arena
	var err error
	if n.devices, err = discover.Devices(t.Context(), filepath.Join(built, "shim", "probe"),
		filepath.Join(built, "sim", "libnvidia-ml.so.1"), "WEIR_SIM="+n.env["WEIR_SIM"], "WEIR_SIM_DEVICES="+devices); err != nil {
		t.Fatal(err)
	}
	n.begin()
	t.Cleanup(n.kill)
	return n
}

func (n *apart) begin() {
	n.Helper()
	text, err := json.Marshal(map[string]any{"Dir": n.dir, "Devices": n.devices, "Env": n.env, "Arena": n.arena,
		"Built": built, "ComeBack": time.Second, "IdleMemory": 100 * time.Millisecond,
		"LeastStay": 200 * time.Millisecond})
	if err != nil {
		n.Fatal(err)
	}
	n.agent = exec.Command(os.Args[0])
	n.agent.Env = append(os.Environ(), agency+"="+string(text))
	n.agent.Stderr = os.Stderr
	if err := n.agent.Start(); err != nil {
		n.Fatal(err)
	}
	n.eventually("the agent answers", func() error {
		_, err := client.New(n.dir).Node(context.Background())
		return err
	})
}

// kill kills the agent.
func (n *apart) kill() { end(n.agent) }

// end kills a process as the kernel does one that has taken too much.
func end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// stopped reports whether a process is (SIGSTOP).
func stopped(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "T")
}

// stopAt lets a process stop at the nth time that it comes somewhere.
func (n *node) stopAt(pid int, where string, nth int) {
	n.Helper()
	path := filepath.Join(n.env["WEIR_SIM"], "fault")
	text := fmt.Sprintf("pid=%d,stop_%s=%d", pid, where, nth)
	if where == "" {
		text = ""
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		n.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		n.Fatal(err)
	}
}

// outside is a program that goes to the driver itself.
func (n *node) outside(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(built, args[0]), args[1:]...)
	cmd.Env = append(os.Environ(), "WEIR_SIM_CONTEXT=0", "WEIR_SIM="+n.env["WEIR_SIM"],
		"LD_LIBRARY_PATH="+filepath.Join(built, "sim"))
	return cmd
}

// goOn lets a stopped process go on.
func goOn(cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGCONT) }

// quickly is eventually without a pause to speak of.
func (n *node) quickly(what string, patience time.Duration, check func() bool) bool {
	n.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if check() {
			return true
		}
	}
	return false
}
