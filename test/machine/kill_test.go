package machine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/client"
	"github.com/weir-gpu/weir/node/wire"
)

var runs = flag.Int("runs", 60, "how often somebody is killed in the middle of a swap")

// moment is a step of the journal: where the shim comes to when it is reached.
type moment struct {
	name  string
	out   bool      // on the way out, else on the way in
	where string    // a call of the driver's
	state wire.Copy // of the piece that it is about
}

// moments are all, in order. After each of them the process may have died.
var moments = []moment{
	{"COPYING_OUT is written, nothing is copied", true, "copy", wire.CopyingOut},
	{"all is copied, HOST is not written", true, "copied", wire.CopyingOut},
	{"HOST is written, the device's copy is mapped", true, "unmap", wire.Host},
	{"the device's copy is unmapped", true, "release", wire.Host},
	{"HOST, nothing is on the device", false, "create", wire.Host},
	{"HOST, there is room on the device", false, "map", wire.Host},
	{"HOST, it is mapped and may not be touched", false, "access", wire.Host},
	{"COPYING_IN is written, nothing is copied", false, "copy", wire.CopyingIn},
	{"all is copied, RESIDENT is not written", false, "copied", wire.CopyingIn},
}

// Somebody is killed at each step of the journal: the job, the agent, or both.
// What lives has its memory as it was, who was promised the device has all of
// it, and nothing is left behind. One job has two processes, of which one is
// killed, so that there is always somebody to ask.
func TestKilledWhileSwapping(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	began := time.Now()
	for run := range *runs {
		m := moments[run%len(moments)]
		victims := []string{"job", "agent", "both"}[run/len(moments)%3]
		nth := 1 + run/len(moments)/3%4 // the first piece, and later ones
		if !t.Run(fmt.Sprintf("%d/%s/%s/%d", run, m.where, victims, nth), func(t *testing.T) { killed(t, m, victims, nth) }) {
			return
		}
	}
	t.Logf("%d runs in %v", *runs, time.Since(began).Round(time.Second))
}

const (
	device = 96 * mib
	share  = 72 * mib // of the job that borrows
)

func killed(t *testing.T, m moment, victims string, nth int) {
	n := newApart(t, "1x96MiB", 80*mib)
	ask := agent.Request{Memory: share, Compute: 250, Mode: "fair", Policy: agent.Borrow}
	first := n.run(ask, "keep", "16")
	if got := first.line(); got != "ready" {
		t.Fatal(got)
	}
	second := n.join("j1", "keep", "3")
	if got := second.line(); got != "ready" {
		t.Fatal(got)
	}
	pid := first.cmd.Process.Pid
	if !m.out {
		n.swap("keep", agent.Out)
		n.becomes("keep", agent.Out)
	}
	n.stopAt(pid, m.where, nth)
	if m.out {
		n.swap("keep", agent.Out)
	} else {
		n.swap("keep", agent.In)
	}
	if !n.quickly("it stops", 10*time.Second, func() bool { return stopped(pid) }) {
		t.Fatalf("it does not come to: %s", m.name)
	}
	n.stopAt(0, "", 0)
	if states := journal(t, pid); states[m.state] == 0 {
		t.Fatalf("at %q the journal has %v", m.name, states)
	}
	if victims != "job" {
		n.kill()
	}
	if victims != "agent" {
		end(first.cmd)
	} else {
		goOn(first.cmd)
	}
	if victims != "job" {
		n.begin()
	}
	n.afterwards(first, second, victims != "agent")
}

// journal counts the chunks of a process's arena by what the journal says of them.
func journal(t *testing.T, pid int) map[wire.Copy]int {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	states := map[wire.Copy]int{}
	for _, entry := range list {
		path := filepath.Join(dir, entry.Name())
		if name, err := os.Readlink(path); err != nil || !strings.Contains(name, "-arena") {
			continue
		}
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		arena, err := wire.AdoptArena(fd, share)
		if err != nil {
			t.Fatal(err)
		}
		defer arena.Close()
		slots := arena.Slots()
		for i := range slots {
			if slots[i].Owner.Load() != 0 {
				states[wire.Copy(slots[i].State.Load())]++
			}
		}
	}
	return states
}

// afterwards looks at what is left: an owner takes its device, all of it, and
// when it has gone what is left of the job has its memory back.
func (n *apart) afterwards(first, second *program, dead bool) {
	n.Helper()
	owner := n.run(agent.Request{Memory: device, Compute: 500, Mode: "fair", Policy: agent.Never}, "hold", "8")
	if got := owner.line(); got != "96 MiB, then error 2; 0 of 96 MiB free" {
		n.Fatalf("the owner of the device was refused: %s", got)
	}
	owner.input.Close()
	if err := owner.cmd.Wait(); err != nil {
		n.Error(err)
	}
	left := []*program{second}
	if !dead {
		left = append(left, first)
	}
	n.eventually("it is called in", func() error { return client.New(n.dir).Swap(n.Context(), "j1", agent.In) })
	for _, p := range left {
		p.expect("check", "right")
		p.expect("write", "written")
		p.expect("check", "right")
	}
	n.nothingIsLeft(first, second)
}

// usedOnDevice asks the driver itself: who is not in a job may take all of it.
func (n *node) usedOnDevice() int {
	n.Helper()
	out, err := n.outside("hold", "1").Output()
	var have, code, free, total int
	_, scan := fmt.Sscanf(strings.SplitN(string(out), "\n", 2)[0], "%d MiB, then error %d; %d of %d MiB free", &have, &code, &free, &total)
	if err := errors.Join(err, scan); err != nil {
		n.Fatalf("%q: %v", out, err)
	}
	return total - have
}

// The agent dies again and again while six programs share the memory of two.
// All go on, and none has lost a byte.
func TestTheAgentDiesWhileLending(t *testing.T) {
	n := newApart(t, "1x256MiB", 6*quarter)
	var programs []*program
	for i := range 6 {
		r := agent.Request{Memory: quarter, Compute: 250, Mode: "fair", Policy: agent.Borrow}
		if i == 0 {
			r.Policy = agent.Lend
		}
		p := n.run(r, "keep", "90")
		if got := p.line(); got != "ready" {
			t.Fatal(got)
		}
		programs = append(programs, p)
	}
	ctx, stop := context.WithTimeout(t.Context(), 8*time.Second)
	defer stop()
	turns := make([]int, len(programs))
	var wait sync.WaitGroup
	for i, p := range programs {
		wait.Go(func() {
			for ; ctx.Err() == nil; turns[i]++ {
				if _, err := p.work(20 * time.Millisecond); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(50*(i+1)) * time.Millisecond)
			}
		})
	}
	for ctx.Err() == nil {
		time.Sleep(1300 * time.Millisecond)
		n.kill()
		time.Sleep(200 * time.Millisecond)
		n.begin()
	}
	wait.Wait()
	for i, p := range programs {
		p.expect("check", "right")
		if turns[i] == 0 {
			t.Errorf("program %d never worked", i)
		}
	}
	t.Logf("they worked %v times", turns)
}
