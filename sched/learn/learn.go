// Package learn finds out what pods are like from those that come, for
// placement rules that look ahead: it counts arrivals by what they ask for, and
// says when the engine should be told anew what to expect.
//
// What it learned dies with it; whoever starts again shows it the pods that
// exist first. A [Counter] is told of arrivals, a [Follower] finds them among
// the events of an engine.
package learn

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sched"
)

const (
	// first is how many pods have to have come before anything is expected.
	first = 64
	// remembered is how many pods count: when twice as many came, all counts
	// are halved, so that what was common long ago is forgotten.
	remembered = 1 << 14
	// kinds bounds the kinds of pods that are told.
	kinds = 256
	// drift is how much of what is expected has to be wrong, in per cent, for
	// the engine to be told anew: placements hardly depend on less, and to be
	// told costs the engine a good part of a second.
	drift = 5
)

// Counter counts arrivals.
type Counter struct {
	asks  map[string]*sched.Expected
	total int64
	due   int64 // the total at which to look again

	told      map[string]int64 // weights that were last told
	toldTotal int64
}

// New returns a counter that has seen nothing.
func New() *Counter { return &Counter{asks: map[string]*sched.Expected{}, due: first} }

// Arrived notes that a pod came. key stands for what it asks for: equal asks
// have equal keys.
func (c *Counter) Arrived(key string, ask sched.Ask) {
	x := c.asks[key]
	if x == nil {
		ask.Fit = "" // where pods may go besides says nothing of their size
		x = &sched.Expected{Ask: ask}
		c.asks[key] = x
	}
	x.Weight++
	c.total++
}

// Due returns what to expect when the engine should be told: when a quarter
// more pods came since that was last asked, and they are not what was told.
func (c *Counter) Due() (sched.Expect, bool) {
	if c.total < c.due {
		return sched.Expect{}, false
	}
	for c.total >= 2*remembered {
		c.halve()
	}
	c.due = max(c.total+c.total/4, first)
	if c.drifted()*100 <= drift {
		return sched.Expect{}, false
	}
	c.told, c.toldTotal = map[string]int64{}, c.total
	for key, x := range c.asks {
		c.told[key] = x.Weight
	}
	return c.expect(), true
}

// drifted is the part of pods that are of other kinds than was told.
func (c *Counter) drifted() float64 {
	if c.toldTotal == 0 {
		return 1
	}
	sum := 0.0
	for _, key := range slices.Sorted(maps.Keys(c.asks)) {
		is, was := float64(c.asks[key].Weight)/float64(c.total), float64(c.told[key])/float64(c.toldTotal)
		sum += max(is-was, 0)
	}
	return sum
}

func (c *Counter) expect() sched.Expect {
	type counted struct {
		key string
		sched.Expected
	}
	var all []counted
	for key, x := range c.asks {
		all = append(all, counted{key, *x})
	}
	slices.SortFunc(all, func(a, b counted) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), strings.Compare(a.key, b.key))
	})
	var ev sched.Expect
	for _, x := range all[:min(len(all), kinds)] {
		ev.Pods = append(ev.Pods, x.Expected)
	}
	return ev
}

func (c *Counter) halve() {
	c.total = 0
	for key, x := range c.asks {
		if x.Weight /= 2; x.Weight == 0 {
			delete(c.asks, key)
		}
		c.total += x.Weight
	}
}
