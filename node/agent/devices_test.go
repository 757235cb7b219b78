package agent_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/parts"
)

// A device that the driver does not know any more is shown as lost, and nobody is
// given any of it until it is back. Who has it keeps it.
func TestLostDevicesAreNotGiven(t *testing.T) {
	var lost atomic.Bool
	look := func(context.Context) ([]parts.Device, error) {
		if lost.Load() {
			return two[1:], nil
		}
		return two, nil
	}
	n := &node{TB: t, dir: t.TempDir()}
	n.client = clientOf(n)
	run(t, agent.Options{Dir: n.dir, Devices: two, Look: look, LookEvery: 10 * time.Millisecond})
	first, err := n.begin(agent.Request{Name: "large", Devices: 1, Memory: 70 * gib, Compute: 500, Mode: "fair"})
	if err != nil || first.Parts[0].Device != 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	is := func(want bool) {
		t.Helper()
		n.eventually(fmt.Sprintf("device 0 is lost: %v", want), func() error {
			if d := n.node().Devices; d[0].Lost != want || d[1].Lost {
				return fmt.Errorf("%+v", d)
			}
			return nil
		})
	}
	ask := func(policy string) (agent.Begun, error) {
		return n.begin(agent.Request{Name: "next", Devices: 1, Memory: gib, Compute: 100, Mode: "fair", Policy: policy})
	}
	lost.Store(true)
	is(true)
	if b, err := ask(agent.Never); err != nil || b.Parts[0].Device != 1 {
		t.Errorf("%+v, %v", b, err)
	}
	_, err = n.begin(agent.Request{Name: "both", Devices: 2, Memory: gib, Compute: 100, Mode: "fair"})
	if err == nil || !strings.HasPrefix(err.Error(), "409 ") || !strings.Contains(err.Error(), "GPU 0 not be lost") {
		t.Errorf("a job on both: %v", err)
	}
	if jobs := n.node().Jobs; len(jobs) != 2 || jobs[0].Name != "large" {
		t.Errorf("%+v", jobs)
	}
	lost.Store(false)
	is(false)
	if b, err := ask(agent.Never); err != nil || b.Parts[0].Device != 0 {
		t.Errorf("%+v, %v", b, err)
	}
}
