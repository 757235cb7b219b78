package cli

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/parts"
)

// machine starts an agent with two GPUs, and returns a session beside it.
func machine(t *testing.T) (b *bench, dir string) {
	dir = t.TempDir()
	a, err := agent.New(agent.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler),
		Env:     map[string]string{"LD_LIBRARY_PATH": "/shim"},
		Arena:   100 << 20,
		Devices: []parts.Device{{UUID: "GPU-a", Name: "H100", Memory: 80 << 30}, {UUID: "GPU-b", Name: "L40", Ordinal: 1, Memory: 48 << 30}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	b = newBench(t)
	b.pause = func(context.Context, time.Duration) error { time.Sleep(time.Millisecond); return nil }
	for range 1000 {
		if code, _, _ := b.run("run", "--dir", dir, "--gpu", "2", "--", "true"); code == exitUsage {
			if anyExists([]string{filepath.Join(dir, agent.Socket)}) {
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return b, dir
}

// TestRun asks for a part, and is replaced by the program.
func TestRun(t *testing.T) {
	b, dir := machine(t)
	var args, env []string
	b.parts.Exec = func(_ string, a, e []string) error { args, env = a, e; return nil }
	t.Setenv("LD_LIBRARY_PATH", "/mine")
	code, _, stderr := b.run("run", "--dir", dir, "--gpu", "0.25", "--mode", "strict", "--", "sh", "-c", "exit")
	if code != exitOK || !slices.Equal(args, []string{"sh", "-c", "exit"}) {
		t.Fatalf("%d %q, ran %q", code, stderr, args)
	}
	for _, want := range []string{"CUDA_VISIBLE_DEVICES=GPU-b", "LD_LIBRARY_PATH=/shim:/mine",
		"WEIR_SOCKET=" + filepath.Join(dir, "jobs", "j1", "weir.sock")} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing in %q", want, env)
		}
	}
	t.Setenv("TEST_WEIR_AGENT", dir)
	b.kubecf = filepath.Join(dir, "none")
	code, out, stderr := b.run("top")
	for _, want := range []string{"H100", "L40", "sh", "0.25", "strict", "12Gi", "idle"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("%d %q: %q is missing in\n%s", code, stderr, want, out)
		}
	}
}

// TestRunRefuses says what to do instead.
func TestRunRefuses(t *testing.T) {
	b, dir := machine(t)
	b.parts.Exec = func(string, []string, []string) error { t.Error("it ran"); return nil }
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"--gpu 0.25", exitUsage, "no program is named: write it after --"},
		{"-- true", exitUsage, "no part of a GPU is asked for: write --gpu 0.25 or --gpu-memory 10Gi"},
		{"--gpu 0.0001 -- true", exitUsage, "--gpu: 0.0001 is no part of one GPU in thousandths: write 0.001 to 1"},
		{"--gpu 1 --mode soft -- true", exitUsage, `mode is "soft": write strict or fair`},
		{"--gpu 1 -- no-such-program", exitNotFound, "no-such-program cannot be run"},
		{"--gpu-memory 100Gi -- true", exitFailure, "0 have so much: ask for up to 81920 MiB"},
		{"--gpus 3 --gpu 1 -- true", exitFailure, "3 devices are asked for, and there are 2: ask for 1 to 2"},
	} {
		code, _, stderr := b.run(append([]string{"run", "--dir", dir}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: %d %q, want %d %q", c.args, code, stderr, c.code, c.want)
		}
	}
	code, _, stderr := b.run("run", "--dir", t.TempDir(), "--gpu", "1", "--", "true")
	if code != exitFailure || !strings.Contains(stderr, "no agent answers: start one with weir agent") {
		t.Errorf("%d %q", code, stderr)
	}
}

func TestSimulatedDevices(t *testing.T) {
	b := newBench(t)
	asked := ""
	b.parts.Agent = func(_ context.Context, o AgentOptions) error { asked = o.Simulate; return nil }
	if code, _, stderr := b.run("agent", "--simulate", "2x80GiB,1x512Mi"); code != exitOK || asked != "2x80GiB,1x512Mi" {
		t.Errorf("%d %q, asked for %q", code, stderr, asked)
	}
	for _, words := range []string{"80GiB", "0x80GiB", "1x", "1xmany", "9x80GiB,9x80GiB", "1x80GiB,"} {
		if code, _, stderr := b.run("agent", "--simulate", words); code != exitUsage || !strings.Contains(stderr, "--simulate: ") {
			t.Errorf("%q: %d %q", words, code, stderr)
		}
	}
}

// TestSwap swaps a job out and in that has nothing to be swapped.
func TestSwap(t *testing.T) {
	b, dir := machine(t)
	b.parts.Exec = func(string, []string, []string) error { return nil }
	run := func(args string) (int, string, string) { return b.run(strings.Fields(args)...) }
	if code, _, stderr := run("run --dir " + dir + " --gpu-memory 64Mi --lend -- true"); code != exitOK {
		t.Fatal(stderr)
	}
	run("run --dir " + dir + " --gpu-memory 64Mi --name fixed -- true")
	for range 100 { // the arena may not be there yet
		if code, _, _ := run("swap out true --dir " + dir); code == exitOK {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"swap out j1", exitOK, "job j1 (true) is out: 0 with the host"},
		{"swap in true", exitOK, "job j1 (true) is in: 0 with the host"},
		{"swap out fixed", exitFailure, "job j2 may not be swapped: begin it with --preemptible or --lend"},
		{"swap in j7", exitNotFound, `there is no job "j7"`},
		{"run --gpu-memory 64Mi --preemptible -- true", exitFailure, "where 36 of 100 MiB are: wait until a job ends"},
		{"run --gpu 1 --preemptible --lend -- true", exitUsage, "what has nothing of its own has nothing to lend"},
	} {
		args := strings.Fields(c.args)
		at := slices.Index(args, "--")
		if at < 0 {
			at = len(args)
		}
		code, out, stderr := b.run(slices.Insert(args, at, "--dir", dir)...)
		if code != c.code || !strings.Contains(out+stderr, c.want) {
			t.Errorf("%s: %d %q %q, want %d %q", c.args, code, out, stderr, c.code, c.want)
		}
	}
	t.Setenv("TEST_WEIR_AGENT", dir)
	b.kubecf = filepath.Join(dir, "none")
	if _, out, _ := b.run("top"); !strings.Contains(out, "Arena: 36Mi of 100Mi left") || !strings.Contains(out, "lend") {
		t.Errorf("top says\n%s", out)
	}
	// The kubeconfig of a cluster that was here once.
	gone := &url.Error{Op: "Get", URL: "https://127.0.0.1:1/api", Err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}}
	for folder, hint := range map[string]bool{dir: true, t.TempDir(): false} {
		s := &session{started: true, getenv: func(string) string { return folder }}
		_, said := s.verdict(s.orMachine(gone))
		if !strings.Contains(said, "start it (weir up)") || strings.Contains(said, "weir top --machine") != hint {
			t.Errorf("with an agent: %v; top says %q", hint, said)
		}
	}
	stopped := &url.Error{Op: "Get", URL: gone.URL, Err: context.Canceled}
	s := &session{started: true, getenv: func(string) string { return dir }}
	if code, said := s.verdict(s.orMachine(stopped)); code != exitStopped || said != "" {
		t.Errorf("exit %d, and top says %q", code, said)
	}
	if _, out, _ := b.run("top", "--machine"); !strings.Contains(out, "Arena: 36Mi of 100Mi left") {
		t.Errorf("top --machine says\n%s", out)
	}
}
