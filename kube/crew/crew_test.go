package crew_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-gpu/weir/kube/crew"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUrgentJobsGoFirst(t *testing.T) {
	c := crew.New(1)
	ctx, cancel := context.WithCancel(t.Context())
	var order []string
	add := func(lane crew.Lane, name string) {
		c.Add(lane, func(context.Context) { order = append(order, name) })
	}
	add(crew.Tell, "event")
	add(crew.Evict, "evict")
	add(crew.Bind, "bind 1")
	add(crew.Bind, "bind 2")
	c.Add(crew.Tell, func(context.Context) { cancel() })
	c.Run(ctx)
	if want := []string{"bind 1", "bind 2", "evict", "event"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

func TestTellingWaitsForABindThatRuns(t *testing.T) {
	c := crew.New(4)
	ctx, cancel := context.WithCancel(t.Context())
	var bound, early atomic.Bool
	started := make(chan struct{})
	c.Add(crew.Bind, func(context.Context) {
		close(started)
		c.Add(crew.Tell, func(context.Context) {
			early.Store(!bound.Load())
			cancel()
		})
		for c.Load(crew.Tell) == 0 {
		}
		bound.Store(true)
	})
	c.Run(ctx)
	<-started
	if early.Load() {
		t.Error("told before the bind was through")
	}
}

func TestTellingIsHeldBack(t *testing.T) {
	c := crew.New(2)
	ctx, cancel := context.WithCancel(t.Context())
	var released atomic.Bool
	c.Hold(true)
	c.Add(crew.Tell, func(context.Context) {
		if !released.Load() {
			t.Error("told while held back")
		}
		cancel()
	})
	c.Add(crew.Bind, func(context.Context) {
		released.Store(true)
		c.Hold(false)
	})
	c.Run(ctx)
}

func TestEveryJobRunsOnce(t *testing.T) {
	c := crew.New(8)
	ctx, cancel := context.WithCancel(t.Context())
	var runs atomic.Int64
	var left sync.WaitGroup
	for i := range 1000 {
		left.Add(1)
		c.Add(crew.Lane(i%3), func(context.Context) { runs.Add(1); left.Done() })
	}
	go func() { left.Wait(); cancel() }()
	c.Run(ctx)
	if runs.Load() != 1000 {
		t.Errorf("%d jobs ran, want 1000", runs.Load())
	}
}

func TestJobsAreDroppedAtTheEnd(t *testing.T) {
	c := crew.New(1)
	ctx, cancel := context.WithCancel(t.Context())
	c.Add(crew.Bind, func(ctx context.Context) { cancel(); <-ctx.Done() })
	c.Add(crew.Bind, func(context.Context) { t.Error("ran after the end") })
	c.Run(ctx)
	c.Add(crew.Bind, func(context.Context) { t.Error("added after the end") })
}

func TestWaitingAsideKeepsNobodyWaiting(t *testing.T) {
	c := crew.New(1)
	ctx, cancel := context.WithCancel(t.Context())
	bound := make(chan struct{})
	c.Aside(func(context.Context) { <-bound; cancel() })
	c.Add(crew.Bind, func(context.Context) {
		c.Aside(func(ctx context.Context) { close(bound); <-ctx.Done() })
	})
	c.Run(ctx)
	c.Aside(func(context.Context) { t.Error("ran after the end") })
}
