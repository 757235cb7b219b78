// Package agent is the node agent: it gives jobs parts of the node's devices,
// lets their processes connect, divides the devices' time between them by
// leases, and counts what they use.
//
// One goroutine, in [Agent.Run], owns everything; connections and the API post
// to it what they have to say. What it knows about jobs is in its folder too,
// so that an agent that starts anew takes over the jobs of the one before.
//
// It does not start programs, and does not look for devices: it is told both.
package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/arbiter"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/witness"
)

// Options are what an agent is made of.
type Options struct {
	Dir     string // for sockets and what outlives the agent; made when it is missing
	Devices []parts.Device
	Leases  arbiter.Config
	Env     map[string]string // what every job's processes must find in their environment
	Logger  *slog.Logger

	Arena      uint64        // bytes of the host into which jobs may be swapped
	IdleMemory time.Duration // how long a job does nothing until its memory is lent; 5 s where it is 0
	LeastStay  time.Duration // how long one that borrows is left alone by its equals; 5 s where it is 0
	ComeBack   time.Duration // how long processes of an agent before are waited for; 5 s where it is 0

	// Look asks the driver which devices there are now, every LookEvery: of one that is lost nobody is given any more.
	// Nil: they are taken to be well.
	Look      func(context.Context) ([]parts.Device, error)
	LookEvery time.Duration

	// Witness asks the driver what processes have of its devices; nil where nobody does, and what they say
	// themselves is believed. It is called from one goroutine, which it may keep waiting.
	Witness      func(context.Context) (witness.Look, error) `json:"-"`
	WitnessEvery time.Duration                               // the pause between two looks; 1 s where it is 0

	Context uint64 // bytes that the driver takes for a context; 0: it is learned
}

const (
	beat      = 500 * time.Millisecond
	idleAfter = 2 * time.Millisecond
	// period is how long a round of turns is, which the shim goes by when no
	// agent beats.
	period = 480 * time.Millisecond
	// comeBack is how long an agent waits for processes of the one before it:
	// they try several times a second.
	comeBack = 5 * time.Second
)

// Agent is one node's.
type Agent struct {
	opts   Options
	log    *slog.Logger
	inbox  chan func()
	ledger *parts.Ledger
	times  []*arbiter.Arbiter // by device
	jobs   map[string]*job
	alarm  *time.Timer
	ctx    context.Context // of Run
	ready  chan struct{}
	over   chan struct{} // closed when nothing of the inbox is done any more
	speed  [2]float64    // bytes in a second: into the device, and out of it
	clock  func() int64  // the time of memory: that of leases
	// claimed is, by device, room that is being made for somebody, while jobs
	// are arranged.
	claimed []int64
	// lending says that the place of jobs' memory may change.
	lending bool
	watch   watch
}

// New returns an agent that has not begun.
func New(opts Options) (*Agent, error) {
	if len(opts.Devices) == 0 {
		return nil, errors.New("the node has no devices: there is nothing to share")
	}
	if opts.Leases == (arbiter.Config{}) {
		opts.Leases = arbiter.Usual
	}
	opts.IdleMemory, opts.LeastStay = cmp.Or(opts.IdleMemory, idleMemory), cmp.Or(opts.LeastStay, leastStay)
	opts.ComeBack, opts.WitnessEvery = cmp.Or(opts.ComeBack, comeBack), cmp.Or(opts.WitnessEvery, lookEvery)
	a := &Agent{opts: opts, lending: opts.Arena > 0, log: opts.Logger, inbox: make(chan func(), 64),
		ledger: parts.New(opts.Devices), jobs: map[string]*job{}, alarm: time.NewTimer(time.Hour),
		ready: make(chan struct{}), over: make(chan struct{}), watch: newWatch(len(opts.Devices)),
		clock: now, claimed: make([]int64, len(opts.Devices))}
	for range opts.Devices {
		a.times = append(a.times, arbiter.New(opts.Leases))
	}
	if err := os.MkdirAll(filepath.Join(opts.Dir, "jobs"), 0o755); err != nil {
		return nil, err
	}
	return a, errors.Join(own(opts.Dir), a.readContexts())
}

// own refuses a folder that somebody else may change: it holds the sockets.
func own(dir string) error {
	var s unix.Stat_t
	if err := unix.Stat(dir, &s); err != nil {
		return fmt.Errorf("looking at %s: %w", dir, err)
	}
	if int(s.Uid) != os.Geteuid() || s.Mode&0o022 != 0 {
		return fmt.Errorf("%s belongs to user %d with mode %o: give the agent a folder that only its own user may write",
			dir, s.Uid, s.Mode&0o7777)
	}
	return nil
}

// Ready is closed once the agent has taken over the jobs of the one before and
// answers.
func (a *Agent) Ready() <-chan struct{} { return a.ready }

// now is the time of leases and of the shim: nanoseconds of CLOCK_MONOTONIC.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // no Linux is without it
	}
	return t.Nano()
}

// Run does the agent's work until ctx ends. Jobs go on without it.
func (a *Agent) Run(ctx context.Context) error {
	a.ctx = ctx
	listener, err := a.listen()
	if err != nil {
		return err
	}
	if err := a.takeOver(); err != nil {
		return err
	}
	served := a.serve(listener)
	defer func() {
		_ = listener.Close() // after a panic, too: an agent that hangs is started again by nobody
		for _, j := range a.jobs {
			j.leave()
		}
		<-served
	}()
	if a.opts.Look != nil {
		go a.lookAfterDevices(ctx)
	}
	if a.opts.Witness != nil {
		go a.lookAfter(ctx)
	}
	beats := time.NewTicker(beat)
	defer beats.Stop()
	a.beat()
	close(a.ready)
	a.log.Info("agent is ready", "dir", a.opts.Dir, "devices", len(a.opts.Devices), "jobs", len(a.jobs))
	for {
		select {
		case <-ctx.Done():
			close(a.over)
			return nil
		case do := <-a.inbox:
			do()
		case <-a.alarm.C:
		case <-beats.C:
			a.beat()
		}
		a.divide()
	}
}

// do lets the agent's own goroutine do something, and waits until it is done.
// It reports false when the agent has ended.
func (a *Agent) do(f func()) bool {
	done := make(chan struct{})
	select {
	case a.inbox <- func() { f(); close(done) }:
	case <-a.ctx.Done():
		return false
	}
	select {
	case <-done:
		return true
	case <-a.over:
		return false
	}
}

// post lets the agent's own goroutine do something, some time.
func (a *Agent) post(f func()) {
	select {
	case a.inbox <- f:
	case <-a.ctx.Done():
	}
}

// beat tells all processes that there is an agent, and ends jobs that nothing
// is left of.
func (a *Agent) beat() {
	at := uint64(now())
	for _, j := range a.jobs {
		j.pages.Rules.Beat.Store(at)
		j.giveUp()
		for _, p := range j.cells {
			if p != nil && !p.lives() {
				p.conn.Close() // by which it ends here
			}
		}
		if j.stay.reap && j.stay.arena != nil {
			j.stay.reap = j.stay.arena.Reap() && j.empty()
		}
		a.endIfOver(j)
	}
}

// divide does what the arbiters say, for all devices.
func (a *Agent) divide() {
	a.lookAround()
	soonest := int64(0)
	if a.lending {
		a.arrange()
		soonest = a.again()
	}
	for d, times := range a.times {
		for range 2*len(a.jobs) + 2 { // an order may end a lease at once, which makes room for the next
			at := now()
			orders, wake := times.Next(at)
			again := false
			for _, o := range orders {
				again = a.obey(d, o) || again
			}
			if !again {
				if wake > 0 && (soonest == 0 || wake < soonest) {
					soonest = wake
				}
				break
			}
		}
	}
	for _, j := range a.jobs {
		for i := range j.parts {
			if s := &j.seats[i]; s.look > 0 && (soonest == 0 || s.look < soonest) {
				soonest = s.look
			}
		}
	}
	wait := time.Hour
	if soonest > 0 {
		wait = max(0, time.Duration(soonest-now()))
	}
	a.alarm.Reset(wait)
}

// turns tells the jobs on a device when to launch while no agent beats.
func (a *Agent) turns(device int) {
	at := int64(0)
	for _, id := range a.ledger.Holders() {
		j := a.jobs[id]
		if j == nil {
			continue
		}
		for i, p := range j.parts {
			if p.Device != device {
				continue
			}
			length := int64(period) * p.Compute / parts.Whole
			r := &j.pages.Rules.Device[i]
			r.TurnOffset, r.TurnLength, r.TurnPeriod = uint64(at), uint64(length), uint64(period)
			at += length
		}
	}
	// Nobody lends while there is no agent to take it back.
	for _, j := range a.jobs {
		if i := j.part(device); i >= 0 && j.borrows() {
			r := &j.pages.Rules.Device[i]
			r.TurnOffset, r.TurnLength, r.TurnPeriod = 0, 0, uint64(period)
		}
	}
}

// ids returns all jobs in order.
func (a *Agent) ids() []string {
	ids := make([]string, 0, len(a.jobs))
	for id := range a.jobs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
