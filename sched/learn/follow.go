package learn

import (
	"fmt"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// Follower learns from what an engine is told. It counts while some pool is
// placed in by a rule that looks ahead, and begins with the pods that exist
// then. So one that is shown the facts of a cluster knows as much as any other.
type Follower struct {
	pods  map[string]sched.Ask // that exist
	left  map[string]sched.Ask // that are gone since Due was last asked
	ahead map[string]bool      // pools
	count *Counter             // nil while there is no such pool
	told  bool                 // something that has to be taken back then
}

// NewFollower returns a follower that has seen nothing.
func NewFollower() *Follower {
	return &Follower{pods: map[string]sched.Ask{}, left: map[string]sched.Ask{}, ahead: map[string]bool{}}
}

// Told notes an event that the engine accepted. Each pod has to be said to be
// gone; that its workload is does not say it.
func (f *Follower) Told(ev sched.Event) {
	switch ev := ev.(type) {
	case sched.PoolSet:
		f.pool(ev.Pool.Name, ev.Pool.GPUPlacement == sched.Dense)
	case sched.PoolGone:
		f.pool(ev.Name, false)
	case sched.PodSet:
		f.came(ev.Pod)
	case sched.PodGone:
		if ask, ok := f.pods[ev.ID]; ok {
			f.left[ev.ID] = ask
			delete(f.pods, ev.ID)
		}
	}
}

func (f *Follower) pool(name string, ahead bool) {
	if ahead {
		f.ahead[name] = true
	} else {
		delete(f.ahead, name)
	}
	switch {
	case len(f.ahead) == 0:
		f.count = nil
	case f.count == nil:
		f.count = New()
		for _, ask := range f.pods {
			f.count.Arrived(key(ask), ask)
		}
	}
}

// came notes a pod that is there. One that was gone a moment ago came with
// another workload, or lost its place: it is not another pod.
func (f *Follower) came(p sched.Pod) {
	_, known := f.pods[p.ID]
	_, back := f.left[p.ID]
	f.pods[p.ID] = p.Ask
	delete(f.left, p.ID)
	if !known && !back && f.count != nil {
		f.count.Arrived(key(p.Ask), p.Ask)
	}
}

// Due returns what the engine is to be told to expect, if anything. It is to be
// asked before each decision.
func (f *Follower) Due() (sched.Expect, bool) {
	clear(f.left)
	if f.count == nil {
		back := f.told
		f.told = false
		return sched.Expect{}, back
	}
	ev, ok := f.count.Due()
	f.told = f.told || ok
	return ev, ok
}

// key is the same for asks that are alike to a [Counter]. Maps are printed in
// the order of their keys.
func key(a sched.Ask) string {
	a.Fit = ""
	a.Models = slices.Sorted(slices.Values(a.Models))
	return fmt.Sprintf("%d %v %q %v", a.Devices, a.Part, a.Models, a.Resources)
}
