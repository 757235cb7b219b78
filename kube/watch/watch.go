// Package watch follows the objects of a cluster and hands their changes, in
// the order in which they came, to one reader.
//
// It keeps of every object what the API last said, so that a broken watch
// yields only what really changed meanwhile. What a scheduler never looks at
// (managed fields, containers' environments) is dropped on arrival.
//
// It decides nothing and writes nothing.
package watch

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"
)

// Change is an object as it is now, or was last when it is gone.
type Change struct {
	Object runtime.Object
	Gone   bool
}

// Source is one kind of object to follow.
type Source struct {
	Name    string // for people: "pods"
	Example runtime.Object
	List    cache.ListerWatcher
}

// patience is how a source is tried again when the API server is away: soon,
// as decisions wait for it.
var patience = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 16, Cap: 5 * time.Second}

// Feed follows sources. Its methods may be called from any goroutine.
type Feed struct {
	log     *slog.Logger
	sources []Source
	ready   chan struct{}

	mu       sync.Mutex
	changes  []Change
	unsynced map[string]struct{}
	synced   chan struct{}
	started  map[string]struct{}
	ctx      context.Context
	running  sync.WaitGroup
}

// New returns a feed of the given sources, which starts with [Feed.Run].
func New(log *slog.Logger, sources ...Source) *Feed {
	f := &Feed{
		log:      log,
		sources:  sources,
		ready:    make(chan struct{}, 1),
		unsynced: map[string]struct{}{},
		synced:   make(chan struct{}),
		started:  map[string]struct{}{},
	}
	for _, s := range sources {
		f.unsynced[s.Name] = struct{}{}
	}
	return f
}

// Run follows the sources until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	f.mu.Lock()
	f.ctx = ctx
	f.mu.Unlock()
	for _, s := range f.sources {
		f.Follow(s)
	}
	<-ctx.Done()
	f.running.Wait()
}

// Follow adds a source while the feed runs. A source that is followed already
// is left alone.
func (f *Feed) Follow(s Source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.started[s.Name]; ok || f.ctx == nil || f.ctx.Err() != nil {
		return
	}
	f.started[s.Name] = struct{}{}
	f.running.Go(func() { f.follow(f.ctx, s) })
}

func (f *Feed) follow(ctx context.Context, s Source) {
	backoff := patience
	store := &store{feed: f, source: s.Name, objects: map[string]runtime.Object{}}
	r := cache.NewReflectorWithOptions(s.List, s.Example, store, cache.ReflectorOptions{
		Name:            "weir/" + s.Name,
		TypeDescription: s.Name,
		Backoff:         &backoff,
	})
	r.RunWithContext(ctx)
}

// Ready is told when there are changes to take.
func (f *Feed) Ready() <-chan struct{} { return f.ready }

// Take returns all changes since it was last called.
func (f *Feed) Take() []Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.changes
	f.changes = nil
	return taken
}

// Synced waits until every source that the feed was made with was listed once:
// then Take has all there was.
func (f *Feed) Synced(ctx context.Context) error {
	for {
		f.mu.Lock()
		left := make([]string, 0, len(f.unsynced))
		for name := range f.unsynced {
			left = append(left, name)
		}
		f.mu.Unlock()
		if len(left) == 0 {
			return nil
		}
		select {
		case <-f.synced:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server to list %v: %w", left, ctx.Err())
		case <-time.After(10 * time.Second):
			f.log.Warn("still waiting for the API server's lists", "kinds", left)
		}
	}
}

func (f *Feed) push(changes ...Change) {
	if len(changes) == 0 {
		return
	}
	f.mu.Lock()
	f.changes = append(f.changes, changes...)
	f.mu.Unlock()
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

func (f *Feed) listed(source string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.unsynced[source]; !ok {
		return
	}
	if delete(f.unsynced, source); len(f.unsynced) == 0 {
		close(f.synced)
	}
}
