package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/cli"
)

// argsEnv, when set, turns the test binary into the weir command with these
// arguments (JSON), until its standard input ends.
const argsEnv = "WEIR_TEST_ARGS"

func TestMain(m *testing.M) {
	var args []string
	if err := json.Unmarshal([]byte(os.Getenv(argsEnv)), &args); err != nil {
		os.Exit(m.Run())
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
		stop()
	}()
	os.Exit(cli.Main(ctx, parts(), args, cli.Streams{Out: os.Stdout, Err: os.Stderr}))
}

// replica is a `weir scheduler` in a process of its own.
type replica struct {
	t       *testing.T
	name    string
	webhook string // addresses
	metrics string
	stdin   io.Closer
	cmd     *exec.Cmd
	log     buffer
}

// startReplica runs the command that the Deployment of weir install runs, as
// the given kubeconfig, at addresses of this machine.
func startReplica(t *testing.T, name, kubeconfig string, args []string) *replica {
	t.Helper()
	r := &replica{t: t, name: name, webhook: freeAddress(t), metrics: freeAddress(t)}
	line := []string{"weir"}
	for _, arg := range args {
		if strings.HasPrefix(arg, "--webhook-address=") {
			arg = "--webhook-address=" + r.webhook
		}
		line = append(line, arg)
	}
	line = append(line, "--kubeconfig="+kubeconfig, "--instance="+name, "--metrics-address="+r.metrics)
	text, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = exec.Command(os.Args[0])
	r.cmd.Env = append(os.Environ(), argsEnv+"="+string(text))
	r.cmd.Stderr = &r.log
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, r.log.String())
		}
	})
	return r
}

// stop ends the replica in order.
func (r *replica) stop() {
	if r.cmd.ProcessState == nil {
		_ = r.stdin.Close()
		_ = r.cmd.Wait()
	}
}

// is asks a probe.
func (r *replica) is(path string) error {
	resp, err := http.Get("http://" + r.metrics + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of %s: %s", path, r.name, strings.TrimSpace(string(body)))
	}
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until waits for something to come true.
func until(t *testing.T, what string, ask func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = ask(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
