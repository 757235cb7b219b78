package agent_test

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/wire"
)

var update = flag.Bool("update", false, "write what the agent answers to testdata")

// TestNode is what the agent answers who asks it what there is, as
// docs/reference/agent-api.md shows it: an owner that has taken little of what
// was promised to it, who borrows that, and one that was put out by hand.
func TestNode(t *testing.T) {
	n := newLender(t)
	begin := func(name, policy string, memory uint64) (*guest, agent.Begun) {
		b, err := n.begin(agent.Request{Name: name, Devices: 1, Memory: memory, Compute: 250, Mode: "fair", Policy: policy})
		if err != nil {
			t.Fatal(err)
		}
		return connect(t, b.Socket), b
	}
	owner, _ := begin("notebook", agent.Lend, 96*mib)
	owner.use.Charged.Store(16 * mib)
	owner.use.Swappable.Store(12 * mib)
	aside, job := begin("aside", agent.Lend, 32*mib)
	aside.use.Charged.Store(20 * mib)
	aside.use.Swappable.Store(20 * mib)
	n.eventually("the arena is there", func() error { return n.swap(job.ID, agent.Out) })
	aside.use.Swapped.Store(20 * mib)
	cellOf(t, aside).Placed.Store(1)
	aside.say(t, wire.Message{Kind: wire.Placed, Lease: 1})
	begin("stays", agent.Never, gib-128*mib)
	borrower, _ := begin("sweep", agent.Borrow, 100*mib)
	cell := cellOf(t, borrower)
	n.eventually("who borrows is in", func() error {
		cell.Placed.Store(borrower.rules.Place.Load())
		cell.Asleep.Store(borrower.rules.Place.Load() % 2)
		borrower.say(t, wire.Message{Kind: wire.Asleep})
		if j := n.node().Jobs[3]; j.State != agent.In {
			return io.EOF
		}
		return nil
	})
	got := n.node()
	for i := range got.Jobs {
		j := &got.Jobs[i]
		if j.Leader != os.Getpid() || len(j.Processes) != 1 || j.UID != os.Getuid() || time.Since(j.Began) > time.Minute {
			t.Errorf("%+v", j)
		}
		j.Leader, j.Processes, j.UID, j.Began, j.Took = 4711, []int{4711}, 1000, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), 0
	}
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/node.json"
	if *update {
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != string(text)+"\n" {
		t.Errorf("%v: it answers\n%s\nif that is right: go test ./node/agent -run TestNode -update", err, text)
	}
}
