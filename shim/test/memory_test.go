package test

import (
	"context"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/shim/build"
)

// limit is not a multiple of what the programs take at a time: the rest is taken too.
const limit = 68 * MiB

func one(memory uint64) container { return container{"one", memory, 1000, "free"} }

// TestEveryFamilyHasTheSameLimit takes memory in every way until none is left.
func TestEveryFamilyHasTheSameLimit(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		for _, family := range strings.Fields("plain pitch managed physical async pool array array3d graph") {
			t.Run(family, func(t *testing.T) {
				w := newWorld(t, check)
				w.agent(one(limit))
				w.run("one", "memory_test", "limit", family, strconv.Itoa(limit))
			})
		}
	})
}

// TestProcessesShareOneLimit has two processes, and contexts that are destroyed.
func TestProcessesShareOneLimit(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		w := newWorld(t, check)
		w.agent(one(limit))
		w.run("one", "memory_test", "share", strconv.Itoa(limit))
		w.run("one", "memory_test", "context", strconv.Itoa(limit))
		w.run("one", "memory_test", "pools", strconv.Itoa(limit))
	})
}

// TestAnOrphanHoldsNothing has a child that outlives its parent, and has never said hello.
func TestAnOrphanHoldsNothing(t *testing.T) {
	w := newWorld(t, build.Plain)
	w.agent(one(limit))
	w.run("one", "memory_test", "orphan", strconv.Itoa(limit))
}

// TestTheAgentComesBack goes on with what a process has at an agent that knows nothing of it.
func TestTheAgentComesBack(t *testing.T) {
	w := newWorld(t, build.Plain)
	kill := w.agent(one(limit))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	input, tell := io.Pipe()
	p := w.startReading(ctx, input, "one", "memory_test", "return", strconv.Itoa(limit))
	time.Sleep(500 * time.Millisecond)
	kill()
	_, _ = tell.Write([]byte("the agent is dead\n"))
	time.Sleep(500 * time.Millisecond)
	w.agent(one(2 * limit))
	tell.Close()
	w.wait(p)
}

// TestNothingLeaks takes and gives back at random, in every way.
func TestNothingLeaks(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		operations := 1_000_000
		if check != build.Plain {
			operations = 30_000
		}
		w := newWorld(t, check)
		w.agent(one(40 * MiB))
		t.Log(w.run("one", "memory_test", "random", strconv.Itoa(operations)))
	})
}

// TestLedger hammers one limit from several processes, and kills some in the middle.
func TestLedger(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		rounds := "100000"
		if check != build.Plain {
			rounds = "20000"
		}
		w := newWorld(t, check)
		t.Log(w.run("none", "ledger_test", "8", rounds))
		w.run("none", "table_test")
		w.run("none", "arena_test")
	})
}

// TestAnswersAreTheDrivers calls every wrapped function with nonsense.
func TestAnswersAreTheDrivers(t *testing.T) {
	everyBuild(t, func(t *testing.T, check build.Check) {
		rounds := "500"
		if check == build.Thread {
			rounds = "50" // each mapping of memory takes long there
		}
		for _, in := range []string{"one", "nobody"} {
			w := newWorld(t, check)
			w.agent(one(1 << 40))
			t.Log(w.run(in, "null_test", rounds))
		}
	})
}
