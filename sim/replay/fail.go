package replay

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/weir-gpu/weir/sched"
)

// Failures says how nodes fail: each at random, once in Every on average, and
// is back after Repair. What ran there starts anew.
type Failures struct {
	Every  time.Duration // 0: never
	Repair time.Duration
	Seed   uint64
}

// faults is when which node fails and comes back.
type faults struct {
	Failures
	random *rand.Rand
	up     []sched.Node
	next   sched.Time // when one of up fails
	broken []fault    // in order of when they are back
}

type fault struct {
	node sched.Node
	back sched.Time
}

func newFaults(f Failures, nodes []sched.Node, now sched.Time) faults {
	all := faults{Failures: f, up: nodes, random: rand.New(rand.NewPCG(f.Seed, 0))}
	all.draw(now)
	return all
}

// draw says when the next node fails: as failures do not remember, one draw
// does for all nodes that are up.
func (f *faults) draw(now sched.Time) {
	if f.Every > 0 && len(f.up) > 0 {
		f.next = now + 1 + sched.Time(f.random.ExpFloat64()*float64(f.Every.Milliseconds())/float64(len(f.up)))
	}
}

func (f *faults) down() bool { return len(f.broken) > 0 }

// soonest is when a node fails or comes back next.
func (f *faults) soonest() (sched.Time, bool) {
	switch {
	case f.Every == 0:
		return 0, false
	case len(f.broken) == 0 || len(f.up) > 0 && f.next < f.broken[0].back:
		return f.next, true
	}
	return f.broken[0].back, true
}

// fail lets nodes fail and come back.
func (r *run) fail() error {
	f := &r.faults
	for len(f.broken) > 0 && f.broken[0].back <= r.now {
		if err := r.stage.Tell(sched.NodeSet{Node: f.broken[0].node}); err != nil {
			return err
		}
		r.tally.nodes(len(f.broken[0].node.Devices), r.now)
		f.up, f.broken = append(f.up, f.broken[0].node), f.broken[1:]
		f.draw(r.now)
	}
	for f.Every > 0 && len(f.up) > 0 && f.next <= r.now {
		i := f.random.IntN(len(f.up))
		n := f.up[i]
		f.up = slices.Delete(f.up, i, i+1)
		f.broken = append(f.broken, fault{n, r.now + sched.Time(f.Repair.Milliseconds())})
		f.draw(r.now)
		r.tally.nodes(-len(n.Devices), r.now)
		if err := r.lose(n.Name); err != nil {
			return err
		}
	}
	return nil
}

// lose takes a node away. What ran on it, in part or whole, waits anew.
func (r *run) lose(node string) error {
	if err := r.stage.Tell(sched.NodeGone{Name: node}); err != nil {
		return err
	}
	var hit []*work
	for _, w := range r.running {
		if slices.ContainsFunc(w.places, func(p place) bool { return p.grant.Node == node }) {
			hit = append(hit, w)
		}
	}
	slices.SortFunc(hit, func(a, b *work) int { return strings.Compare(a.ID, b.ID) })
	for _, w := range hit {
		r.stop(w, failed)
		w.started = 0
		if err := r.stage.Again(&w.Work, w.Pods); err != nil {
			return err
		}
	}
	return nil
}
