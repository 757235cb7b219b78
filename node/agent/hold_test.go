package agent_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// keeper is an agent of a folder, which starts again when it is asked to.
type keeper struct {
	*agent.Agent
	stop func()
}

func keep(t *testing.T, dir string, devices ...parts.Device) *keeper {
	t.Helper()
	return run(t, agent.Options{Dir: dir, Devices: devices})
}

// run starts an agent that says nothing, and waits until it is ready.
func run(t testing.TB, o agent.Options) *keeper {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	a, err := agent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	k := &keeper{Agent: a}
	k.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		k.stop = func() {}
	}
	t.Cleanup(func() { k.stop() })
	select {
	case <-a.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	return k
}

var two = []parts.Device{{UUID: "GPU-0", Memory: 80 * gib}, {UUID: "GPU-1", Ordinal: 1, Memory: 40 * gib}}

func (k *keeper) hold(by string, exact ...parts.Part) (agent.Held, error) {
	return k.Hold(agent.Hold{By: by}, agent.Request{Name: "ml/train/main", Mode: "strict"}, exact)
}

func part(device int, memory uint64, compute int64) parts.Part {
	return parts.Part{Device: device, Memory: memory * gib, Compute: compute}
}

// says is the job's socket's answer to a process that begins.
func says(t *testing.T, door string) error {
	t.Helper()
	g, err := hello(t, filepath.Join(door, "weir.sock"), wire.Message{Kind: wire.Hello, Device: wire.Magic, Lease: wire.Version})
	if err == nil {
		g.Close()
	}
	return err
}

func wantHolds(t *testing.T, k *keeper, want ...string) {
	t.Helper()
	holds, err := k.Holds()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range holds {
		got = append(got, h.By)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("held by %q, want %q", got, want)
	}
}

// Holding is the same however often it is asked for, and over when it is dropped.
func TestHoldAndDrop(t *testing.T) {
	k := keep(t, t.TempDir(), two...)
	first, err := k.hold("a", part(1, 10, 250))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := k.hold("a", part(1, 10, 250)); err != nil || again != first {
		t.Errorf("asked again: %+v, %v; at first %+v", again, err, first)
	}
	if _, err := k.hold("a", part(1, 20, 250)); err == nil || !strings.Contains(err.Error(), "dropped first") {
		t.Errorf("asked for something else: %v", err)
	}
	if _, err := k.hold("b", part(1, 31, 250)); err == nil {
		t.Error("more was given than there is")
	}
	if _, err := k.hold("b", part(7, 1, 1)); err == nil {
		t.Error("a part of no device was given")
	}
	if err := says(t, first.Door); err != nil {
		t.Errorf("a process of the job: %v", err)
	}
	for range 2 {
		if err := k.Drop("a"); err != nil {
			t.Error(err)
		}
	}
	wantHolds(t, k)
	if _, err := os.Stat(first.Door); !os.IsNotExist(err) {
		t.Errorf("the folder is there still: %v", err)
	}
	if _, err := k.hold("b", part(1, 40, 1000)); err != nil {
		t.Errorf("what is free was refused: %v", err)
	}
}

// Who is in another control group is refused, whoever gave it the socket.
func TestHoldOfAControlGroup(t *testing.T) {
	k := keep(t, t.TempDir(), two...)
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(own), "\n")
	for group, want := range map[string]string{"pod-of-somebody-else": "none of the control groups", line: ""} {
		h, err := k.Hold(agent.Hold{By: group, Within: []string{group}}, agent.Request{Name: "x", Mode: "fair"},
			[]parts.Part{part(0, 1, 100)})
		if err != nil {
			t.Fatal(err)
		}
		if err := says(t, h.Door); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("of %q: %v", group, err)
		}
	}
}

// The next agent finds what was held, by the devices' names, and takes away
// what was begun only. Who looks for the socket finds it where it was.
func TestHoldsOutliveTheAgent(t *testing.T) {
	dir := t.TempDir()
	k := keep(t, dir, two...)
	kept, err := k.hold("kept", part(1, 10, 250))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.hold("lost", part(0, 10, 250)); err != nil {
		t.Fatal(err)
	}
	k.stop()
	// An agent was killed when it had made a folder, and one when it had written.
	for _, begun := range []string{"jobs/j7/door", "jobs/j8"} {
		if err := os.MkdirAll(filepath.Join(dir, begun), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "jobs/j8/job.json.new"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	// One device is lost, and the other has its number now.
	k = keep(t, dir, parts.Device{UUID: "GPU-1", Memory: 40 * gib})
	wantHolds(t, k, "kept")
	if again, err := k.hold("kept", part(0, 10, 250)); err != nil || again != kept {
		t.Errorf("asked again: %+v, %v; at first %+v", again, err, kept)
	}
	if err := says(t, kept.Door); err != nil {
		t.Errorf("a process of the job: %v", err)
	}
	if conn, err := net.Dial("unixpacket", filepath.Join(dir, "jobs/j2/door/weir.sock")); err == nil {
		conn.Close()
		t.Error("the job of the lost device answers still")
	}
	left, err := os.ReadDir(filepath.Join(dir, "jobs"))
	if err != nil || len(left) != 1 {
		t.Errorf("folders %v, %v", left, err)
	}
}
