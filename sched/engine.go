package sched

import (
	"cmp"
	"maps"
	"slices"
)

// Config is what an engine is built with. The live scheduler and the
// simulator build theirs from the same values.
type Config struct {
	// Fitness answers for classes of [Ask.Fit]; nil lets every pod fit.
	Fitness Fitness
	// Effort bounds the planning (reclaim, preemption, consolidation) that one
	// Decide does, in steps of about half a microsecond; 0 means DefaultEffort.
	// What is left is done by the next; see [Engine.More].
	Effort int
	// PromiseFor is how long (ms) a place to which a pod was moved is held for
	// its successor; 0 means DefaultPromiseFor.
	PromiseFor int64
	// Levels are bounds (ms of GPU time, ascending, for a weight of 1) by which
	// service is told apart, at most 7: less than the first is level 0. An owner of weight
	// 3 reaches each at three times the service. None means DefaultLevels.
	Levels []int64
	// Hysteresis is how many levels more than one another workload has to be
	// above to be suspended for it; below 0 none, and 0 means
	// DefaultHysteresis.
	Hysteresis int
}

// DefaultLevels are ten minutes and 1, 6, 24 and 96 hours of a GPU.
var DefaultLevels = []int64{600_000, 3_600_000, 21_600_000, 86_400_000, 345_600_000}

// The defaults of [Config].
const (
	DefaultEffort     = 1024
	DefaultPromiseFor = 10 * 60 * 1000
	DefaultHysteresis = 1
)

// Engine holds the whole state and decides.
type Engine struct {
	cfg Config
	now Time

	resIndex map[string]int
	resNames []string

	classes    []deviceClass
	classIndex map[deviceClass]int32
	kinds      map[string]int32 // of nodes
	densities  map[density]int32
	shapes     map[string]*shape
	shapeList  []*shape
	fitMemo    map[fitKey]string
	mix        *mix     // what pods there are, for the fgd rule
	expected   *mix     // what pods are expected, as told by [Expect]; nil before
	outlook    *outlook // of expected

	nodes     []*node
	nodeIndex map[string]*node
	pools     map[string]*pool
	poolList  []*pool // by name
	ranksOld  bool    // nodes came since ranks were dealt

	owners    map[string]*owner
	treeDirty bool

	workloads map[string]*workload
	pods      map[string]*pod
	lostOn    map[string]map[string]*pod // by node that is gone or not known yet
	foreign   map[string]*holding
	away      map[string]Occupied // occupations of nodes that are not known
	queues    map[queueKey]*queue

	bookings []*booking
	// vacancies counts the places that became actually free, so that promises
	// are looked at only then.
	vacancies, vacanciesSeen uint64

	// rising are running workloads by when they reach their next level.
	rising heap[*workload]

	seats    []*seat // of all workloads, the oldest first
	eased    []*account
	deciding bool // inside Decide, where starts can be said
	effort   int  // steps left in this Decide
	credit   int  // steps of planning left until time gives more; see pay
	more     bool // planning was cut short
	preyAt   Time // when the next minimum or surplus run time ends, 0 for none
	early    []early
	planAt   Time   // when planning goes on that waits for credit, 0 for none
	moveAt   Time   // when consolidation may next be tried, 0 for none
	decides  uint64 // how often Decide was called
	again    bool   // something started in this Decide is wanted by another
	out      []Decision
	arrived  int // pods told of since the last Decide: as many may start

	waking   []*entry // scratch of copied
	round    uint64   // grows with everything that a failed try may have missed
	versions uint64   // the last node.version

	key     []byte // scratch of intern
	scratch tx
	tx      *tx
	quiet   bool
}

// New returns an empty engine.
func New(cfg Config) *Engine {
	if cfg.Effort <= 0 {
		cfg.Effort = DefaultEffort
	}
	if cfg.PromiseFor <= 0 {
		cfg.PromiseFor = DefaultPromiseFor
	}
	if len(cfg.Levels) == 0 {
		cfg.Levels = DefaultLevels
	}
	if cfg.Hysteresis == 0 {
		cfg.Hysteresis = DefaultHysteresis
	}
	cfg.Levels = cfg.Levels[:min(len(cfg.Levels), levels-1)]
	cfg.Hysteresis = max(cfg.Hysteresis, 0)
	e := &Engine{
		cfg:        cfg,
		rising:     heap[*workload]{less: risesBefore, at: func(w *workload) *int { return &w.riseAt }},
		resIndex:   map[string]int{"cpu": resCPU, "memory": resMemory, "pods": resPods},
		resNames:   []string{"cpu", "memory", "pods"},
		classIndex: map[deviceClass]int32{},
		kinds:      map[string]int32{},
		densities:  map[density]int32{},
		outlook:    newOutlook(&mix{}),
		shapes:     map[string]*shape{},
		fitMemo:    map[fitKey]string{},
		credit:     mostCredit,
		nodeIndex:  map[string]*node{},
		pools:      map[string]*pool{},
		owners:     map[string]*owner{},
		workloads:  map[string]*workload{},
		pods:       map[string]*pod{},
		lostOn:     map[string]map[string]*pod{},
		foreign:    map[string]*holding{},
		away:       map[string]Occupied{},
		queues:     map[queueKey]*queue{},
	}
	e.pool(DefaultPool)
	return e
}

// pool returns the pool of that name, making it when it is new.
func (e *Engine) pool(name string) *pool {
	if name == "" {
		name = DefaultPool
	}
	if p := e.pools[name]; p != nil {
		return p
	}
	p := &pool{Pool: Pool{Name: name}, index: len(e.poolList)}
	e.pools[name] = p
	at, _ := slices.BinarySearchFunc(e.poolList, name, func(p *pool, name string) int { return cmp.Compare(p.Name, name) })
	e.poolList = slices.Insert(e.poolList, at, p)
	p.accounts, p.dormIndex = map[string]*account{}, map[string]int{}
	p.root = newAccount("", p, nil)
	p.root.quota = NoLimit.vec()
	p.accounts[strangers] = newAccount(strangers, p, p.root)
	e.treeDirty = true
	return p
}

// ensure brings up to date what Apply left for later.
func (e *Engine) ensure() {
	if e.ranksOld {
		e.ranksOld = false
		order := slices.SortedFunc(slices.Values(e.nodes), func(a, b *node) int { return cmp.Compare(a.Name, b.Name) })
		for i, n := range order {
			n.rank = int32(i)
		}
	}
	if e.treeDirty {
		e.buildAccounts()
	}
	for _, p := range e.poolList {
		if p.stale {
			e.refresh(p)
		}
	}
}

// Decide returns what to do at the time now. It looks only at what can have
// changed since it was last called. See [Engine.More].
func (e *Engine) Decide(now Time) []Decision {
	e.ensure()
	e.earn(max(e.now, now) - e.now)
	e.now = max(e.now, now)
	e.out, e.more, e.effort = nil, false, min(e.cfg.Effort, max(e.credit, 0))
	e.round++
	e.decides++
	e.again = false
	e.deciding = true
	defer func() { e.deciding = false }()
	e.catchUp()
	e.expire()
	e.recall()
	e.timesCome()
	e.remix()
	for first := true; ; first = false {
		e.wakeAll(first)
		if !e.pass() && !e.keepPromises() { // who has a better right comes first
			break
		}
	}
	unplanned := false
	for _, p := range e.poolList {
		e.census(p) // kept warm, so that a first no is as quick as any
		if e.again {
			p.hope.prey++
		}
		unplanned = unplanned || p.planning > 0 || p.unreviewed
		e.more = e.more || p.seen != p.hope
	}
	e.pay(unplanned)
	e.arrived = 0
	return e.out
}

// Planning may take about a fifth of a processor in the long run, so that a
// large cluster in which thousands wait without hope stays cheap. What was
// saved in quiet times is spent at once.
const (
	stepsPerMilli = 400
	mostCredit    = 1 << 19
	planPause     = 20 // ms
)

// earn adds the planning that passing time allows.
func (e *Engine) earn(ms Time) {
	e.credit = min(e.credit+int(min(ms, mostCredit/stepsPerMilli+1))*stepsPerMilli, mostCredit)
}

// pay takes off what this Decide planned, and says when planning goes on.
func (e *Engine) pay(unplanned bool) {
	e.credit -= min(e.cfg.Effort, max(e.credit, 0)) - e.effort
	e.planAt = 0
	switch {
	case !unplanned:
	case e.credit > 0:
		e.more = true
	default:
		e.planAt = e.now + planPause
	}
}

// timesCome lets sleepers be looked at whose time may have come.
func (e *Engine) timesCome() {
	e.rise()
	prey := e.preyAt != 0 && e.preyAt <= e.now
	move := e.moveAt != 0 && e.moveAt <= e.now
	for _, p := range e.poolList {
		if prey {
			p.hope.prey++
		}
		if move {
			p.hope.greed++ // looks at all sleepers
		}
	}
	if prey {
		e.preyAt = 0
	}
	if move {
		e.moveAt = 0
	}
}

// pass tries what is awake, pool by pool, until all sleep. It reports whether
// anything was tried.
func (e *Engine) pass() bool {
	tried := false
	for again := true; again; {
		again = false
		for _, p := range e.poolList {
			for en := p.next(); en != nil; en = p.next() {
				e.try(en)
				again, tried = true, true
			}
		}
	}
	return tried
}

// More reports whether planning was left unfinished, so that Decide should be
// called again soon though nothing changed.
func (e *Engine) More() bool { return e.more }

// Wake returns the next time at which a decision may change though nothing
// else does (a minimum or surplus run time ends, a seat lapses), or 0.
func (e *Engine) Wake() Time {
	next := earliest(earliest(e.preyAt, e.moveAt), e.planAt)
	if e.rising.len() > 0 {
		next = earliest(next, e.rising.top().rises)
	}
	for _, s := range e.seats {
		next = earliest(next, s.until)
	}
	return next
}

// earliest returns the earlier of two times, of which 0 is none.
func earliest(a, b Time) Time {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Waiting returns the IDs of the workloads that have pods waiting, be it for a
// place that is promised, in order.
func (e *Engine) Waiting() []string {
	var out []string
	for id, w := range e.workloads {
		if len(w.waiting) > 0 || w.booking != nil {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
