package laws

import (
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// Maker builds engines for a world. Nth tells them apart: 0 is the one that
// is followed, 1 the twin that has to decide the same, 2 and more are those
// built by restarts.
type Maker func(nth int) Engine

// World plays a history against an engine and keeps the ledger. It stands for
// everything around the engine: the controllers that recreate what was
// evicted, the nodes that fail, the clock.
type World struct {
	Ledger *Ledger
	Log    []string // what happened, for people

	make   Maker
	made   int
	main   Engine
	peers  []peer
	harmed map[string]bool
	gone   map[string]sched.Node // vanished nodes
	lost   map[string]sched.Owner
	exits  []string // leaving pods, longest first
	names  int
	// seen are the divisions of the cluster between which pods were evicted, since
	// something other than the going of pods happened; changed tells that it just did.
	seen    map[string]bool
	changed bool
}

// peer is an engine that has to decide as the main one does, or law is broken.
type peer struct {
	engine Engine
	law    string
}

// epoch is when histories begin.
const epoch = sched.Time(1_000_000)

// NewWorld returns a world with nothing in it.
func NewWorld(fitness sched.Fitness, makeEngine Maker) *World {
	w := &World{
		Ledger: NewLedger(fitness), make: makeEngine,
		harmed: map[string]bool{}, seen: map[string]bool{}, gone: map[string]sched.Node{}, lost: map[string]sched.Owner{},
	}
	w.Ledger.Now = epoch
	w.main = w.engine()
	w.peers = []peer{{w.engine(), Same}}
	return w
}

func (w *World) engine() Engine {
	e := w.make(w.made)
	w.made++
	return e
}

// Play plays the whole history, brings it to rest and returns the first breach
// of a law, or nil.
func (w *World) Play(h History) (b *Breach) {
	defer func() {
		if p := recover(); p != nil {
			b = &Breach{Answers, fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	for _, p := range h.Pools {
		if b := w.tell(sched.PoolSet{Pool: p}); b != nil {
			return b
		}
	}
	for _, n := range h.Nodes {
		if b := w.tell(sched.NodeSet{Node: n}); b != nil {
			return b
		}
	}
	for _, o := range h.Owners {
		if b := w.tell(sched.OwnerSet{Owner: o}); b != nil {
			return b
		}
	}
	for _, s := range append(slices.Clone(h.Steps), Step{Act: Settle}) {
		if b := w.step(s); b != nil {
			return b
		}
	}
	return nil
}

func (w *World) step(s Step) *Breach {
	w.Ledger.Now += 1000
	w.harmed = map[string]bool{}
	if s.Act != Leave && s.Act != Settle {
		w.seen, w.changed = map[string]bool{}, true
	}
	if b := w.settleIn(); b != nil {
		return b
	}
	if b := w.happen(s); b != nil {
		return b
	}
	return w.decide()
}

// tell passes events to every engine and to the ledger.
func (w *World) tell(evs ...sched.Event) *Breach {
	for _, ev := range evs {
		w.logf("%s", describe(ev))
		w.Ledger.Tell(ev)
		if err := w.main.Apply(ev); err != nil {
			return &Breach{Accepts, fmt.Errorf("%s: %w", describe(ev), err)}
		}
		for _, p := range w.peers {
			if err := p.engine.Apply(ev); err != nil {
				return &Breach{p.law, fmt.Errorf("only one engine refuses %s: %w", describe(ev), err)}
			}
		}
	}
	return nil
}

func (w *World) logf(format string, args ...any) {
	w.Log = append(w.Log, fmt.Sprintf("%6d ", w.Ledger.Now-epoch)+fmt.Sprintf(format, args...))
}

// mostRounds bounds how often Decide may be called before it has to be quiet.
const mostRounds = 64

// decide asks for decisions until there are none, and checks every answer.
func (w *World) decide() *Breach {
	for range mostRounds {
		before := w.Ledger.Clone()
		ds := w.main.Decide(w.Ledger.Now)
		if b := w.comparePeers(ds); b != nil {
			return b
		}
		w.record(ds)
		w.Ledger.Promised(w.main.Promises())
		if b := w.circles(before, ds); b != nil {
			return b
		}
		w.changed = false
		if b := CheckRound(Round{before, ds, w.Ledger, w.harmed}); b != nil {
			return b
		}
		if !w.main.More() {
			return w.stillQuiet(ds)
		}
	}
	return &Breach{Settles, fmt.Errorf("planning is not done after %d calls of Decide", mostRounds)}
}

// stillQuiet asks once more, with nothing changed.
func (w *World) stillQuiet(last []sched.Decision) *Breach {
	again := w.main.Decide(w.Ledger.Now)
	if b := w.comparePeers(again); b != nil {
		return b
	}
	if len(again) > 0 {
		return &Breach{Settles, fmt.Errorf("nothing changed since %+v, and yet: %+v", last, again)}
	}
	return nil
}

func (w *World) comparePeers(ds []sched.Decision) *Breach {
	for i, p := range w.peers {
		want, got := fmt.Sprintf("%+v", ds), p.engine.Decide(w.Ledger.Now)
		if p.law == SameAfterRestart {
			if moves(ds) || moves(got) {
				// Attempts to consolidate are paced; a restarted engine does
				// not know when the last one was, and the two part here.
				w.peers = slices.Delete(w.peers, i, i+1)
				return nil
			}
			want, got = fmt.Sprintf("%+v", w.nameless(ds)), w.nameless(got)
		}
		if got := fmt.Sprintf("%+v", got); got != want {
			return &Breach{p.law, fmt.Errorf("one engine decides\n  %s\nand the other\n  %s", want, got)}
		}
	}
	return nil
}

// record writes an answer into the ledger.
func (w *World) record(ds []sched.Decision) {
	moved := map[string]bool{}
	for _, d := range ds {
		w.logf("-> %s %s %s on %s %v for %s (%s)", d.Action, d.Workload, d.Pod, d.Grant.Node, d.Grant.Devices, d.For, d.Rule)
		w.Ledger.Do(d)
		if takes(d) {
			w.exits = append(w.exits, d.Pod)
			moved[d.Workload] = moved[d.Workload] || d.Action == sched.Move
		}
	}
	for _, id := range sortedKeys(moved) {
		if moved[id] {
			work := w.Ledger.Works[id] // told to the engines when the successors come
			work.Moves--
			w.Ledger.Works[id] = work
		}
	}
}

// circles notices when evictions lead back to a division that was before, with
// nothing changed since: they would do so for ever.
func (w *World) circles(before *Ledger, ds []sched.Decision) *Breach {
	stops := func(d sched.Decision) bool { return d.Action == sched.Evict || d.Action == sched.Suspend }
	if !slices.ContainsFunc(ds, stops) {
		return nil
	}
	if !w.changed { // else promises may have fallen since they were told
		w.seen[before.division()] = true
	}
	now := w.Ledger.division()
	if w.seen[now] {
		return &Breach{Settles, fmt.Errorf("after evictions, places are divided again as they were: %s", now)}
	}
	w.seen[now] = true
	return nil
}

// division tells how many pods of each workload run or are promised places.
func (l *Ledger) division() string {
	n := map[string]int{}
	for _, p := range l.Pods {
		if p.Running() {
			n[p.Workload]++
		}
	}
	for _, h := range l.Held {
		n[h.Workload]++
	}
	return fmt.Sprint(n)
}

func moves(ds []sched.Decision) bool {
	return slices.ContainsFunc(ds, func(d sched.Decision) bool { return d.Action == sched.Move })
}

// nameless returns the decisions without the names of devices on counted
// nodes: no API object tells them, so that a restart cannot know them.
func (w *World) nameless(ds []sched.Decision) []sched.Decision {
	ds = slices.Clone(ds)
	for i, d := range ds {
		if w.Ledger.Nodes[d.Grant.Node].Counted {
			ds[i].Grant.Devices = slices.Clone(d.Grant.Devices)
			for j := range ds[i].Grant.Devices {
				ds[i].Grant.Devices[j].Device = "any"
			}
		}
	}
	return ds
}

// settle lets every leaving pod go and every planning end, and asks the laws
// of rest.
func (w *World) settle() *Breach {
	for range mostRounds {
		if b := w.decide(); b != nil {
			return b
		}
		if b := w.settleIn(); b != nil {
			return b
		}
		if len(w.exits) == 0 {
			if b := w.decide(); b != nil || len(w.exits) > 0 {
				if b != nil {
					return b
				}
				continue
			}
			return CheckRest(Rest{w.Ledger, w.main, w.fresh})
		}
		for len(w.exits) > 0 {
			if b := w.leave(false); b != nil {
				return b
			}
		}
	}
	return &Breach{Settles, fmt.Errorf("pods are still being stopped after %d rounds", mostRounds)}
}

// fresh returns an engine that knows only what the API objects say.
func (w *World) fresh(l *Ledger) (Engine, error) {
	e := w.engine()
	for _, ev := range l.Objects() {
		if err := e.Apply(ev); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(ev), err)
		}
	}
	return e, nil
}

// restart replaces the engine by one that knows the API objects alone; the old
// one goes on beside it as a peer, to decide the same.
func (w *World) restart() *Breach {
	if b := w.settle(); b != nil {
		return b
	}
	if len(w.Ledger.Held) > 0 {
		return nil // places kept for successors are forgotten by a restart
	}
	w.logf("restart")
	e, err := w.fresh(w.Ledger)
	if err != nil {
		return &Breach{Accepts, err}
	}
	w.peers = []peer{{w.main, SameAfterRestart}}
	w.main = e
	return w.decide()
}

// leave lets the longest leaving pod go, and its successor come.
func (w *World) leave(early bool) *Breach {
	id := w.exits[0]
	w.exits = w.exits[1:]
	p, ok := w.Ledger.Pods[id]
	if !ok {
		return nil
	}
	if p.Aside != nil && p.Leaving {
		return w.tell(sched.PodSuspended{ID: id, Node: p.Aside.Node, HostMiB: p.Aside.MiB})
	}
	evs := []sched.Event{sched.PodGone{ID: id}}
	if work, ok := w.Ledger.Works[p.Workload]; ok {
		next := sched.PodSet{Workload: p.Workload, Pod: sched.Pod{ID: w.name(p.Workload), Ask: p.Ask}}
		evs = append(evs, sched.WorkloadSet{Workload: work}, next)
	}
	if early {
		slices.Reverse(evs)
	}
	return w.tell(append([]sched.Event{sched.PodLeaving{ID: id}}, evs...)...)
}

func (w *World) name(of string) string {
	w.names++
	return fmt.Sprintf("%s/%d", of, w.names)
}

// harm notes that a workload loses pods by no decision.
func (w *World) harm(match func(Pod) bool) {
	for _, p := range w.Ledger.Pods {
		if match(p) {
			w.harmed[p.Workload] = true
		}
	}
}

func pick[V any](from []V, n int) (v V, ok bool) {
	if len(from) == 0 {
		return v, false
	}
	return from[n%len(from)], true
}

func (w *World) running() []Pod {
	var out []Pod
	for _, id := range slices.SortedFunc(maps.Keys(w.Ledger.Pods), compareIDs) {
		if p := w.Ledger.Pods[id]; p.Running() {
			out = append(out, p)
		}
	}
	return out
}
