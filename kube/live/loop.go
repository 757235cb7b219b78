package live

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/bind"
	"github.com/weir-gpu/weir/kube/crew"
	"github.com/weir-gpu/weir/kube/evict"
	"github.com/weir-gpu/weir/kube/fitness"
	"github.com/weir-gpu/weir/kube/metrics"
	"github.com/weir-gpu/weir/kube/receipt"
	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/kube/status"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/learn"
)

// engine is what is used of [sched.Engine].
type engine interface {
	Apply(sched.Event) error
	Decide(sched.Time) []sched.Decision
	More() bool
	Wake() sched.Time
	Waiting() []string
	Brief(id string) (sched.Reason, string, bool)
	Usage() []sched.Use
}

// loop is the one goroutine that owns the state and the engine. Its methods
// are called by that goroutine only, unless they say otherwise.
type loop struct {
	log     *slog.Logger
	clock   clock.WithTicker
	clients clients
	metrics *metrics.Set
	health  *health

	feed   *watch.Feed
	owners *watch.Owners
	state  *state.State
	book   *fitness.Book
	engine engine
	pods   *learn.Follower // what they are like

	crew     *crew.Crew
	binder   *bind.Binder
	evictor  *evict.Evictor
	receipts *receipt.Writer
	inbox    inbox

	nodes   map[string]sched.Node
	flights map[string]*flight
	awaited map[string]string  // claims that pods named before they were seen, with the pod
	leaving map[types.UID]bool // pods that are being stopped for a lost device
	trouble map[string]int     // consecutive failures to start, by pod
	timers  []timer
	moved   time.Time // when something was last set in motion
	holding time.Time // since when telling is held back
	told    teller
	board   *status.Board

	began time.Time
	first bool // nothing has been decided yet
	news  bool // the engine was told something since it last decided

	changes uint64 // events told and decisions taken: when it stands still, so does all else
}

func newLoop(s *Scheduler, feed *watch.Feed, owners *watch.Owners) (*loop, error) {
	book, err := fitness.New(s.clients.kube, ask.FitKey)
	if err != nil {
		return nil, err
	}
	cfg := s.opts.Engine
	cfg.Fitness = book
	wrote := s.metrics.Wrote
	return &loop{
		log:      s.log,
		clock:    s.opts.Clock,
		clients:  s.clients,
		metrics:  s.metrics,
		health:   &s.health,
		feed:     feed,
		owners:   owners,
		state:    state.New(state.Config{Book: book, NodeClass: fitness.NodeClass}),
		book:     book,
		engine:   sched.New(cfg),
		pods:     learn.NewFollower(),
		crew:     crew.New(s.opts.Workers),
		binder:   bind.New(s.clients.kube, s.opts.Clock, wrote),
		evictor:  evict.New(s.clients.kube, s.opts.Clock, wrote),
		receipts: receipt.NewWriter(s.clients.kube, s.opts.Clock, s.opts.Name, wrote),
		inbox:    inbox{ready: make(chan struct{}, 1)},
		nodes:    map[string]sched.Node{},
		flights:  map[string]*flight{},
		awaited:  map[string]string{},
		leaving:  map[types.UID]bool{},
		trouble:  map[string]int{},
		told:     newTeller(),
		board:    status.NewBoard(),
		began:    s.opts.Clock.Now(),
		first:    true,
	}, nil
}

// beat is how often the loop looks at what only time changes.
const beat = 250 * time.Millisecond

func (l *loop) run(ctx context.Context) {
	ticker := l.clock.NewTicker(beat)
	defer ticker.Stop()
	l.news = true // the engine has not been asked yet
	for ctx.Err() == nil {
		l.health.beats()
		l.absorb()
		if l.news {
			l.news = l.decide(ctx)
			continue
		}
		select {
		case <-ctx.Done():
		case <-l.feed.Ready():
		case <-l.inbox.ready:
		case <-ticker.C():
			l.tick()
			wake := l.engine.Wake()
			l.news = l.news || wake > 0 && wake <= l.now()
		}
	}
}

// now is the engine's time. It grows with the monotonic clock, so that setting
// the wall clock does not make minimum run times end early or never.
func (l *loop) now() sched.Time {
	return sched.Time(l.began.Add(l.clock.Since(l.began)).UnixMilli())
}

// absorb takes in everything that happened.
func (l *loop) absorb() {
	for _, report := range l.inbox.take() {
		report()
	}
	changes := l.feed.Take()
	for i := range changes {
		l.take(&changes[i])
	}
}

// take takes one change in.
func (l *loop) take(c *watch.Change) {
	if pod, ok := c.Object.(*corev1.Pod); ok {
		l.stoppedFor(pod)
	}
	if c.Gone {
		l.board.Delete(c.Object)
		l.apply(l.state.Delete(c.Object))
	} else {
		l.board.Set(c.Object)
		l.apply(l.state.Set(c.Object))
	}
	switch o := c.Object.(type) {
	case *corev1.Pod:
		if l.first && !c.Gone {
			l.recount(o)
		}
		l.review(fitness.ID(o))
	case *resourcev1.ResourceClaim:
		if !c.Gone {
			l.freeOrphan(o)
		}
		key := o.Namespace + "/" + o.Name
		if id, ok := l.awaited[key]; ok {
			delete(l.awaited, key)
			l.review(id)
		}
	case *v1alpha1.Department, *v1alpha1.Project, *v1alpha1.NodePool:
		l.told.stale = true
	case *v1alpha1.WorkloadRule:
		l.told.stale = true
		if rule, err := workload.Compile(o); err == nil && !c.Gone {
			l.owners.Want(rule.GVK)
		}
	}
}

// apply tells the engine of events, leaving out what the API shows late.
func (l *loop) apply(events []sched.Event) {
	for _, ev := range events {
		switch ev := ev.(type) {
		case sched.NodeSet:
			l.nodes[ev.Node.Name] = ev.Node
		case sched.NodeGone:
			delete(l.nodes, ev.Name)
		case sched.PodGone:
			l.withdrawn(ev.ID)
		case sched.PodGranted:
			if l.late(&ev) {
				continue
			}
		}
		l.tell(ev)
		switch ev := ev.(type) {
		case sched.PodSet:
			l.insist(ev.Pod.ID)
		case sched.PodGranted:
			l.seen(&ev)
		}
	}
}

// tell tells the engine one event.
func (l *loop) tell(ev sched.Event) {
	l.news = true
	l.changes++
	if err := l.engine.Apply(ev); err != nil {
		l.log.Error("the engine refuses an event", "event", fmt.Sprintf("%T", ev), "error", err)
		return
	}
	l.pods.Told(ev)
}

// expect tells the engine what pods are like, when it is to be told again.
func (l *loop) expect() {
	if ev, ok := l.pods.Due(); ok {
		l.log.Info("told the engine what pods to expect", "kinds", len(ev.Pods))
		l.tell(ev)
	}
}

// decide lets the engine decide, sets everything in motion, and reports
// whether it has to be asked again at once.
func (l *loop) decide(ctx context.Context) bool {
	l.expect()
	l.news = false
	start := l.clock.Now()
	decisions := l.engine.Decide(l.now())
	took := l.clock.Since(start)
	l.metrics.Decided(took, decisions)
	if l.first {
		l.first = false
		l.log.Info("first decision", "after", l.clock.Since(l.began).Round(time.Millisecond),
			"nodes", len(l.nodes), "decisions", len(decisions))
	}
	l.changes += uint64(len(decisions))
	for i := range decisions {
		if ctx.Err() != nil {
			return false // the lead is lost: nothing more is set in motion
		}
		d := &decisions[i]
		switch d.Action {
		case sched.Start:
			l.start(d)
		case sched.Evict, sched.Move:
			l.stop(d)
		}
	}
	return l.news || l.engine.More()
}

// inbox holds what workers report to the loop.
type inbox struct {
	ready   chan struct{}
	mu      sync.Mutex
	reports []func()
}

// post may be called from any goroutine.
func (in *inbox) post(report func()) {
	in.mu.Lock()
	in.reports = append(in.reports, report)
	in.mu.Unlock()
	select {
	case in.ready <- struct{}{}:
	default:
	}
}

func (in *inbox) take() []func() {
	in.mu.Lock()
	defer in.mu.Unlock()
	taken := in.reports
	in.reports = nil
	return taken
}
