// Package live is the scheduler of a running cluster. It follows the cluster's
// objects, lets the engine decide, and carries the decisions out.
//
// One goroutine owns the translator (kube/state), node fitness (kube/fitness)
// and the engine (sched); it never waits for the API server. Workers bind,
// evict and tell, and report back to it. Decisions are taken on what the API
// last showed plus what was decided since: a pod that is being started counts
// as running until the API shows it so, or until it is known that it is not.
//
// Nothing is kept outside the API: a scheduler that was killed at any instant
// is replaced by one that lists the objects, finishes bindings that were half
// done, and goes on. The package decides nothing itself.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/weir-gpu/weir/kube/metrics"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// Options say how a scheduler runs. Only Config is required.
type Options struct {
	// Config is how the API server is reached. Its rate limits are lifted: a
	// scheduler's writes are bounded by Workers.
	Config *rest.Config
	// Name tells this instance from others, in leases and events; the host's
	// name when empty.
	Name string
	// Clock is the time; the real one when nil.
	Clock clock.WithTicker
	// Logger takes one line per change; slog's default when nil.
	Logger *slog.Logger
	// Workers is how many requests are under way at once; 100 when 0.
	Workers int
	// Engine configures the engine. Its Fitness is set here.
	Engine sched.Config

	// LeaderElect lets one of several instances decide at a time. LeaseNamespace
	// is where they agree on which; kube-system when empty.
	LeaderElect    bool
	LeaseNamespace string

	// Address serves /healthz, /readyz, /leaderz and /metrics:
	// "127.0.0.1:9402". Empty serves nothing.
	Address string
	// ReadyToo fails while something that shares the process is not ready;
	// /readyz waits for it. It may be nil.
	ReadyToo func() error
	// Metrics takes the figures; a set of its own when nil.
	Metrics *metrics.Set
}

// ErrLeadershipLost says that another instance decides now.
var ErrLeadershipLost = errors.New("another scheduler took the lead")

// Scheduler is one instance. It runs once.
type Scheduler struct {
	opts    Options
	log     *slog.Logger
	clients clients
	metrics *metrics.Set
	health  health
}

type clients struct {
	kube    kubernetes.Interface
	dynamic dynamic.Interface
	weir    rest.Interface
}

// New returns a scheduler. It does not talk to the cluster yet.
func New(opts Options) (*Scheduler, error) {
	if opts.Config == nil {
		return nil, errors.New("live: Options.Config is nil; set how the API server is reached")
	}
	opts.setDefaults()
	clients, err := newClients(opts.Config)
	if err != nil {
		return nil, err
	}
	s := &Scheduler{opts: opts, log: opts.Logger, clients: clients, metrics: opts.Metrics}
	s.health.clock, s.health.name, s.health.also = opts.Clock, opts.Name, opts.ReadyToo
	return s, nil
}

func (o *Options) setDefaults() {
	if o.Name == "" {
		o.Name, _ = os.Hostname() // "" is a name too, if nobody competes
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Workers <= 0 {
		o.Workers = 100
	}
	if o.LeaseNamespace == "" {
		o.LeaseNamespace = "kube-system"
	}
	if o.Metrics == nil {
		o.Metrics = metrics.New()
	}
}

func newClients(cfg *rest.Config) (clients, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.RateLimiter = -1, nil
	if cfg.UserAgent == "" {
		cfg.UserAgent = "weir-scheduler"
	}
	fast := rest.CopyConfig(cfg)
	fast.ContentType = runtime.ContentTypeProtobuf
	fast.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON

	kube, err := kubernetes.NewForConfig(fast)
	if err != nil {
		return clients{}, fmt.Errorf("making a client for the API server: %w", err)
	}
	plain, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return clients{}, fmt.Errorf("making a dynamic client for the API server: %w", err)
	}
	weir, err := watch.WeirClient(cfg)
	return clients{kube: kube, dynamic: plain, weir: weir}, err
}

// Metrics returns the figures of the scheduler.
func (s *Scheduler) Metrics() *metrics.Set { return s.metrics }

// Ready reports whether the scheduler has seen the whole cluster and decides.
func (s *Scheduler) Ready() bool { return s.health.decides() == nil }

// Run schedules until ctx ends, and returns when everything it started has
// stopped. The error is nil when ctx ended, [ErrLeadershipLost], or says what
// made it impossible to start.
func (s *Scheduler) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	if s.opts.Address != "" {
		serving, err := s.listen(ctx)
		if err != nil {
			return err
		}
		running.Go(serving)
	}
	if s.opts.LeaderElect {
		return s.lead(ctx, s.schedule)
	}
	s.health.leader(s.opts.Name)
	return s.schedule(ctx)
}

// schedule follows the cluster and decides until ctx ends.
func (s *Scheduler) schedule(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	owners := watch.NewOwners(s.log, s.opts.Clock, s.clients.kube.Discovery(), s.clients.dynamic)
	feed, err := s.follow(ctx, owners)
	if err != nil || ctx.Err() != nil {
		return err
	}
	l, err := newLoop(s, feed, owners)
	if err != nil {
		return err
	}
	running.Go(func() { feed.Run(ctx) })
	running.Go(func() { owners.Run(ctx, feed) })
	if err := feed.Synced(ctx); err != nil {
		return nil //nolint:nilerr // it fails only when ctx has ended
	}
	running.Go(func() { l.crew.Run(ctx) })
	s.health.lead(true)
	s.metrics.Leading(true)
	defer s.metrics.Leading(false)
	defer s.health.lead(false)
	l.run(ctx)
	return nil
}

// follow makes the feed of everything there is to look at. It waits for the
// API server to be there.
func (s *Scheduler) follow(ctx context.Context, owners *watch.Owners) (*watch.Feed, error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		sources, err := owners.Sources(workload.Builtin().Kinds())
		if err == nil {
			sources = append(sources, watch.Cluster(s.clients.kube)...)
			sources = append(sources, watch.Weir(s.clients.weir)...)
			return watch.New(s.log, sources...), nil
		}
		s.log.Warn("the API server does not answer; trying again", "error", err)
		select {
		case <-ctx.Done():
			return nil, nil
		case <-s.opts.Clock.After(wait):
		}
	}
}
