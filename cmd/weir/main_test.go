package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-gpu/weir/cli"
)

func TestNoPartIsMissing(t *testing.T) {
	v := reflect.ValueOf(parts())
	for i := range v.NumField() {
		if v.Field(i).IsNil() {
			t.Errorf("%s is nil", v.Type().Field(i).Name)
		}
	}
}

// weir runs one command to its end.
func weir(t *testing.T, line string) (code int, out, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	code = cli.Main(t.Context(), parts(), append([]string{"weir"}, strings.Fields(line)...),
		cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// must runs one command that has to work, and returns what it printed.
func must(t *testing.T, line string) string {
	t.Helper()
	code, out, stderr := weir(t, line)
	if code != 0 {
		t.Fatalf("weir %s: exit %d: %s", line, code, stderr)
	}
	return out
}

// eventually repeats a command until it prints what is wanted.
func eventually(t *testing.T, line, want string) {
	t.Helper()
	var out string
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if _, out, _ = weir(t, line); strings.Contains(out, want) {
			return
		}
	}
	t.Fatalf("weir %s never printed %q, but:\n%s", line, want, out)
}

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// The shortest way through everything: a cluster, work in it, why it waits.
func TestFromUpToExplain(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	t.Setenv("KUBECONFIG", filepath.Join(state, "none"))
	t.Setenv("HOME", state)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, stderr buffer
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Main(ctx, parts(), strings.Fields("weir up --nodes 2 --gpus 4 --model A100"),
			cli.Streams{Out: &out, Err: &stderr})
	}()
	for !strings.Contains(out.String(), "Ctrl-C stops it") {
		select {
		case code := <-ended:
			t.Fatalf("weir up: exit %d: %s", code, stderr.String())
		case <-time.After(50 * time.Millisecond):
		}
	}

	if code, _, stderr := weir(t, "up --nodes 1"); code != 1 || !strings.Contains(stderr, "already run by process") {
		t.Errorf("a second weir up: exit %d: %s", code, stderr)
	}
	must(t, "submit train gang --project vision --pods 2 --gpu 2 --image any")
	eventually(t, "list -A", "Running")
	must(t, "submit build half --project language --gpu 0.5 --image any")
	eventually(t, "describe half -n language", "50% compute")

	must(t, "submit train wide --project language --pods 2 --gpu 4 --image any")
	eventually(t, "list -n language", "wide")
	if code, out, _ := weir(t, "explain wide -n language --exit-code"); code != 4 || !strings.Contains(out, "waits") {
		t.Errorf("explain: exit %d:\n%s", code, out)
	}
	refused(t, "submit train huge --project vision --gpu 5 --image any", "the largest node has 4")
	refused(t, "submit train none --project visoin --image any", "did you mean vision?")

	var top struct{ GPUs int }
	if err := json.Unmarshal([]byte(must(t, "top --once -o json")), &top); err != nil || top.GPUs != 8 {
		t.Errorf("top sees %d GPUs: %v", top.GPUs, err)
	}
	must(t, "suspend gang -n vision")
	eventually(t, "list -n vision", "Suspended")
	must(t, "delete gang -n vision")
	must(t, "project create robots --gpu 2 --limit 4")
	eventually(t, "project list", "robots")

	stop()
	if code := <-ended; code != 0 {
		t.Errorf("weir up: exit %d after Ctrl-C: %s", code, stderr.String())
	}
	if _, err := os.Stat(filepath.Join(state, "weir", "default", "kubeconfig")); err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, line, why string) {
	t.Helper()
	if code, _, stderr := weir(t, line); code < 2 || !strings.Contains(stderr, why) {
		t.Errorf("weir %s: exit %d: %q, want %q", line, code, stderr, why)
	}
}
