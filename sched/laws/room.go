package laws

import (
	"maps"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// room is what is left of one node.
type room struct {
	node    sched.Node
	devices []deviceRoom
	whole   int // on counted nodes: devices left
	cpu     int64
	memory  int64
	pods    int64
	other   map[string]int64
}

type deviceRoom struct {
	sched.Device
	memory, compute int64
	holders         int
}

// roomOf returns what is left of a node when the pods that keep matches, all
// foreign pods, and the promises that hold matches take their part.
func (l *Ledger) roomOf(n sched.Node, keep func(Pod) bool, hold func(sched.Promise) bool) room {
	r := room{
		node: n, cpu: n.Capacity.CPU, memory: n.Capacity.Memory, pods: n.Capacity.Pods,
		other: maps.Clone(n.Capacity.Other),
	}
	if r.other == nil {
		r.other = map[string]int64{}
	}
	for _, d := range n.Devices {
		r.devices = append(r.devices, deviceRoom{Device: d, memory: d.MemoryMiB, compute: d.ComputeMilli})
		if !d.Unhealthy {
			r.whole++
		}
	}
	for _, p := range l.Pods {
		if p.Grant.Node == n.Name && keep(p) {
			r.take(p.Grant.Devices, p.Ask.Resources)
		}
	}
	for _, o := range l.Foreign {
		if o.Node == n.Name {
			r.take(o.Shares, o.Resources)
			r.whole -= o.Devices
		}
	}
	for id, h := range l.Held {
		if h.Grant.Node == n.Name && hold(h) {
			r.take(h.Grant.Devices, l.askOf(id, h).Resources)
		}
	}
	return r
}

func (r *room) take(shares []sched.Share, res sched.Resources) {
	r.whole -= len(shares)
	for _, s := range shares {
		for i := range r.devices {
			if d := &r.devices[i]; d.Name == s.Device {
				d.memory -= s.MemoryMiB
				d.compute -= s.ComputeMilli
				d.holders++
			}
		}
	}
	r.takeResources(res, 1)
}

func (r *room) takeResources(res sched.Resources, sign int64) {
	r.cpu -= sign * res.CPU
	r.memory -= sign * res.Memory
	r.pods -= sign * max(1, res.Pods)
	for name, q := range res.Other {
		r.other[name] -= sign * q
	}
}

// overdrafts returns what of the node is given away more than once, and by how
// much.
func (r *room) overdrafts() map[string]int64 {
	left := map[string]int64{"CPU": r.cpu, "memory": r.memory, "pod slots": r.pods}
	maps.Copy(left, r.other)
	if r.node.Counted {
		left["devices"] = int64(r.whole) // by number: nobody knows whose device turned sick
	} else {
		for _, d := range r.devices {
			left[d.Name+" memory"], left[d.Name+" compute"] = d.memory, d.compute
		}
	}
	over := map[string]int64{}
	for what, n := range left {
		if n < 0 {
			over[what] = -n
		}
	}
	return over
}

// fits reports whether the asks can all be placed at once in the rooms, by
// trying everything. allowed says whether an ask may go to a node at all.
func fits(rooms []room, asks []sched.Ask, allowed func(sched.Ask, sched.Node) bool) bool {
	if len(asks) == 0 {
		return true
	}
	ask := asks[0]
	for i := range rooms {
		r := &rooms[i]
		if !r.hasResources(ask.Resources) || !allowed(ask, r.node) {
			continue
		}
		r.takeResources(ask.Resources, 1)
		found := r.choose(ask, func() bool { return fits(rooms, asks[1:], allowed) })
		r.takeResources(ask.Resources, -1)
		if found {
			return true
		}
	}
	return false
}

func (r *room) hasResources(res sched.Resources) bool {
	if r.cpu < res.CPU || r.memory < res.Memory || r.pods < max(1, res.Pods) {
		return false
	}
	for name, q := range res.Other {
		if q > 0 && r.other[name] < q {
			return false
		}
	}
	return true
}

// choose tries every choice of devices for the ask and calls then with each
// taken; it reports whether then ever agreed.
func (r *room) choose(ask sched.Ask, then func() bool) bool {
	if r.node.Counted {
		return r.chooseByCount(ask, then)
	}
	return r.chooseFrom(0, ask.Devices, ask, then)
}

func (r *room) chooseByCount(ask sched.Ask, then func() bool) bool {
	if ask.Devices == 0 {
		return then()
	}
	if !ask.Part.IsWhole() || r.whole < ask.Devices || !modelAllowed(ask, r.devices[0].Model) {
		return false
	}
	r.whole -= ask.Devices
	defer func() { r.whole += ask.Devices }()
	return then()
}

func (r *room) chooseFrom(first, left int, ask sched.Ask, then func() bool) bool {
	if left == 0 {
		return then()
	}
	for i := first; i+left <= len(r.devices); i++ {
		if i > first && r.devices[i-1].alike(r.devices[i]) {
			continue // as good as the one just tried
		}
		d := &r.devices[i]
		memory, compute, ok := d.canTake(ask)
		if !ok {
			continue
		}
		d.memory, d.compute, d.holders = d.memory-memory, d.compute-compute, d.holders+1
		found := r.chooseFrom(i+1, left-1, ask, then)
		d.memory, d.compute, d.holders = d.memory+memory, d.compute+compute, d.holders-1
		if found {
			return true
		}
	}
	return false
}

func (d deviceRoom) alike(o deviceRoom) bool {
	d.Name, o.Name = "", ""
	return d == o
}

func (d deviceRoom) canTake(ask sched.Ask) (memory, compute int64, ok bool) {
	if d.Unhealthy || !modelAllowed(ask, d.Model) {
		return 0, 0, false
	}
	memory, compute = Need(ask.Part, d.Device)
	if ask.Part.IsWhole() {
		return memory, compute, d.holders == 0
	}
	return memory, compute, memory <= d.memory && compute <= d.compute
}

func modelAllowed(ask sched.Ask, model string) bool {
	return len(ask.Models) == 0 || slices.Contains(ask.Models, model)
}

// allowedOn reports whether a node takes new pods of the ask at all.
func (l *Ledger) allowedOn(ask sched.Ask, n sched.Node) bool {
	if n.Unschedulable {
		return false
	}
	return ask.Fit == "" || l.Fitness == nil || l.Fitness.Fits(ask.Fit, n.Name, nil) == ""
}

// rooms returns what is left of every node of a pool, in order of name.
func (l *Ledger) rooms(pool string, keep func(Pod) bool, hold func(sched.Promise) bool) []room {
	var out []room
	for _, name := range slices.Sorted(maps.Keys(l.Nodes)) {
		if n := l.Nodes[name]; n.Pool == pool {
			out = append(out, l.roomOf(n, keep, hold))
		}
	}
	return out
}

func everyGrant(Pod) bool             { return true }
func everyPromise(sched.Promise) bool { return true }
