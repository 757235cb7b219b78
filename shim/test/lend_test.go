package test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gpu/weir/shim/build"
)

// lends is a container of which others have all that it has not taken. What it
// wants it has after so many milliseconds.
func lends(memory uint64, after int) container {
	return container{"one", memory, 1000, fmt.Sprintf("free,1,arena,%d", after)}
}

// TestWhatIsLentIsThere takes memory in every way until none is left of what was
// promised: no more and no less, however little of it may be taken unasked.
func TestWhatIsLentIsThere(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		for _, family := range strings.Fields("plain pitch managed physical async pool array array3d graph") {
			t.Run(family, func(t *testing.T) {
				w := newWorld(t, check)
				w.agent(lends(limit, 0))
				w.run("one", "memory_test", "limit", family, strconv.Itoa(limit))
			})
		}
		w := newWorld(t, check)
		w.agent(lends(limit, 0))
		w.run("one", "memory_test", "share", fmt.Sprint(limit))
		w.run("one", "memory_test", "random", "3000")
	})
}

// TestWhoWaitsHoldsNothing has threads that wait for what was promised, beside
// threads that go on, and whose memory goes out and comes in.
func TestWhoWaitsHoldsNothing(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		w := newWorld(t, check)
		w.agent(lends(64*MiB, 500))
		w.run("one", "swap_test", "wait", fmt.Sprint(64*MiB))
		w = newWorld(t, check)
		_, agent := w.agentProcess(lends(limit, 5))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		stop, stopped := context.WithCancel(ctx)
		go everySoOften(stop, agent, 37*time.Millisecond)
		defer stopped()
		t.Log(w.wait(w.start(ctx, "one", "swap_test", "work", "2")))
	})
}

// TestWhoWaitsOutlivesTheAgent has what was promised to it from the next one,
// and ends by a signal while there is none.
func TestWhoWaitsOutlivesTheAgent(t *testing.T) {
	w := newWorld(t, build.Plain)
	kill := w.agent(lends(limit, 1_000_000))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	first := w.start(ctx, "one", "memory_test", "limit", "plain", strconv.Itoa(limit))
	second := w.start(ctx, "one", "memory_test", "limit", "plain", strconv.Itoa(limit))
	ended := make(chan error, 1)
	go func() { ended <- first.cmd.Wait() }()
	time.Sleep(500 * time.Millisecond)
	kill()
	time.Sleep(100 * time.Millisecond)
	_ = second.cmd.Process.Signal(syscall.SIGTERM)
	if err := second.cmd.Wait(); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("it was to end by a signal: %v, %s", err, second.out.String())
	}
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v, %s", err, first.out.String())
	case <-time.After(300 * time.Millisecond):
	}
	w.agent(lends(limit, 0))
	if err := <-ended; err != nil {
		t.Errorf("%v, %s", err, first.out.String())
	}
}
