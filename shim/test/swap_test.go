package test

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gpu/weir/shim/build"
)

// swaps is a container whose memory can be swapped.
func swaps(memory uint64) container { return container{"one", memory, 1000, "free,1,arena"} }

// everySoOften lets the memory of a node's containers change its place, again and again.
func everySoOften(ctx context.Context, agent *os.Process, every time.Duration) {
	for ctx.Err() == nil {
		time.Sleep(every)
		_ = agent.Signal(syscall.SIGUSR1)
	}
}

// TestMemoryThatCanBeSwapped is as any other: its limit, its views, nothing leaks.
func TestMemoryThatCanBeSwapped(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		w := newWorld(t, check)
		w.agent(swaps(limit))
		for _, family := range []string{"plain", "pitch"} {
			w.run("one", "memory_test", "limit", family, fmt.Sprint(limit))
		}
		w.run("one", "memory_test", "share", fmt.Sprint(limit))
		w.run("one", "memory_test", "orphan", fmt.Sprint(limit))
		w.run("one", "memory_test", "random", "20000")
		w.run("one", "swap_test", "pointers")
		w.run("one", "swap_test", "blocks", fmt.Sprint(limit))
		w.run("one", "swap_test", "forsaken", fmt.Sprint(limit))
		w = newWorld(t, check)
		w.agent(swaps(64 * MiB)) // a quarter is whole chunks
		w.run("one", "memory_test", "context", fmt.Sprint(64*MiB))
	})
}

// TestSwappedUnderWork moves a program's memory out and in while its threads
// take, write, read and free, and launch.
func TestSwappedUnderWork(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		w := newWorld(t, check)
		_, agent := w.agentProcess(swaps(limit))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		stop, stopped := context.WithCancel(ctx)
		go everySoOften(stop, agent, 37*time.Millisecond)
		defer stopped()
		t.Log(w.wait(w.start(ctx, "one", "swap_test", "work", "3")))
	})
}

// TestTwoCopiesOfTheLibrary has them in one process, with memory of each, which
// goes out and comes in: the one does not lose what the other has.
func TestTwoCopiesOfTheLibrary(t *testing.T) {
	w := newWorld(t, build.Plain)
	_, agent := w.agentProcess(swaps(limit))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	input, tell := io.Pipe()
	p := w.startReading(ctx, input, "one", "swap_test", "twice")
	for range 4 {
		time.Sleep(500 * time.Millisecond)
		_ = agent.Signal(syscall.SIGUSR1)
	}
	_, _ = tell.Write([]byte("\n"))
	tell.Close()
	w.wait(p)
}
