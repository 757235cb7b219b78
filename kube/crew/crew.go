// Package crew runs jobs on a fixed number of goroutines, the most urgent
// first.
//
// It does not retry, order or join jobs: whoever adds one sees to that.
package crew

import (
	"context"
	"sync"
)

// Lane says how urgent a job is.
type Lane int

// The lanes, the most urgent first. Jobs of Tell wait while there are jobs of
// the others, and only a few of them run at once: what people read may come a
// little later, what they wait for may not.
const (
	Bind Lane = iota
	Evict
	Tell
	lanes
)

// tellers is how many jobs of Tell run at once.
const tellers = 8

// Job is a piece of work. Its context ends with the crew's.
type Job func(ctx context.Context)

// Crew is a set of goroutines and the jobs that wait for them. Its methods may
// be called from any goroutine.
type Crew struct {
	workers int

	mu      sync.Mutex
	change  *sync.Cond
	queues  [lanes]queue
	busy    [lanes]int
	closed  bool
	held    bool
	urgent  int   // jobs of other lanes begun since the last of Tell
	aside   []Job // before Run
	running context.Context
	working sync.WaitGroup
}

// New returns a crew of so many goroutines, which start with [Crew.Run].
func New(workers int) *Crew {
	c := &Crew{workers: max(workers, 1)}
	c.change = sync.NewCond(&c.mu)
	return c
}

// Add queues a job and returns at once. After the crew's end it does nothing.
func (c *Crew) Add(lane Lane, job Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.queues[lane].push(job)
		c.change.Signal()
	}
}

// Hold keeps jobs of Tell waiting, or lets them go on: whoever knows that a
// burst has gaps does not want them filled.
func (c *Crew) Hold(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != yes {
		c.held = yes
		c.change.Broadcast()
	}
}

// Aside starts a job at once on a goroutine of its own: one that waits more
// than it works, and would keep others waiting.
func (c *Crew) Aside(job Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case c.running == nil:
		c.aside = append(c.aside, job)
	default:
		c.working.Go(func() { job(c.running) })
	}
}

// Load returns how many jobs of a lane wait or run.
func (c *Crew) Load(lane Lane) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queues[lane].len() + c.busy[lane]
}

// Run works until ctx ends and the jobs then running have returned. Jobs that
// still wait are dropped.
func (c *Crew) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	for range c.workers {
		c.working.Go(func() {
			for {
				lane, job := c.next(ctx)
				if job == nil {
					return
				}
				job(ctx)
				c.done(lane)
			}
		})
	}
	c.mu.Lock()
	c.running = ctx
	early := c.aside
	c.aside = nil
	c.mu.Unlock()
	for _, job := range early {
		c.Aside(job)
	}
	c.working.Wait()
}

func (c *Crew) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.queues = [lanes]queue{}
	c.change.Broadcast()
}

// next waits for a job; it returns nil when the crew has ended.
func (c *Crew) next(ctx context.Context) (Lane, Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && ctx.Err() == nil {
		for _, lane := range c.order() {
			if c.queues[lane].len() > 0 && c.mayRun(lane) {
				c.begin(lane)
				return lane, c.queues[lane].pop()
			}
		}
		c.change.Wait()
	}
	return 0, nil
}

// patience is how many urgent jobs may begin before one of Tell has its turn
// among them: where work never stops coming, people are told all the same.
const patience = 16

func (c *Crew) starved() bool { return c.urgent >= patience && c.busy[Tell] == 0 }

// order is that in which the lanes are served.
func (c *Crew) order() [lanes]Lane {
	if c.starved() {
		return [lanes]Lane{Tell, Bind, Evict}
	}
	return [lanes]Lane{Bind, Evict, Tell}
}

func (c *Crew) begin(lane Lane) {
	c.busy[lane]++
	c.urgent++
	if lane == Tell {
		c.urgent = 0
	}
}

func (c *Crew) mayRun(lane Lane) bool {
	return lane != Tell || c.starved() || !c.held && c.busy[Tell] < tellers && c.busy[Bind]+c.busy[Evict] == 0
}

func (c *Crew) done(lane Lane) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy[lane]--
	if c.queues[Tell].len() > 0 {
		c.change.Broadcast()
	}
}

// queue is a first-in first-out queue that reuses its memory.
type queue struct {
	jobs []Job
	head int
}

func (q *queue) len() int { return len(q.jobs) - q.head }

func (q *queue) push(j Job) {
	if q.head > 0 && q.head == len(q.jobs) {
		q.jobs, q.head = q.jobs[:0], 0
	}
	q.jobs = append(q.jobs, j)
}

func (q *queue) pop() Job {
	j := q.jobs[q.head]
	q.jobs[q.head] = nil
	q.head++
	return j
}
