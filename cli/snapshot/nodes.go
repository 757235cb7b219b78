package snapshot

import (
	"maps"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

func (l *Ledger) viewNodes() []Node {
	list := make([]Node, 0, len(l.nodes))
	byName := map[string]*Node{}
	for _, name := range slices.Sorted(maps.Keys(l.nodes)) {
		list = append(list, viewNode(l.nodes[name]))
	}
	for i := range list {
		byName[list[i].Name] = &list[i]
	}
	for _, id := range slices.Sorted(maps.Keys(l.pods)) {
		p := l.pods[id]
		if n := byName[p.grant.Node]; n != nil {
			n.take(p.ask.Resources)
			n.hold(Holding{Pod: id, Workload: p.workload}, p.grant.Devices)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.outside)) {
		o := l.outside[id]
		if n := byName[o.Node]; n != nil {
			n.Outside++
			n.take(o.Resources)
			n.hold(Holding{Pod: id}, o.Shares)
			n.hold(Holding{Pod: id}, make([]sched.Share, o.Devices))
		}
	}
	return list
}

func viewNode(n sched.Node) Node {
	v := Node{
		Name: n.Name, Pool: poolOf(n.Pool), Unschedulable: n.Unschedulable, Counted: n.Counted,
		CPU: Part{Of: n.Capacity.CPU}, Memory: Part{Of: n.Capacity.Memory}, Pods: Part{Of: n.Capacity.Pods},
		Devices: make([]Device, len(n.Devices)),
	}
	for i, d := range n.Devices {
		v.Devices[i] = Device{
			Name: d.Name, Model: d.Model, MemoryMiB: d.MemoryMiB, Unhealthy: d.Unhealthy,
			computeMilli: d.ComputeMilli,
		}
	}
	return v
}

func (n *Node) take(r sched.Resources) {
	n.CPU.Used += r.CPU
	n.Memory.Used += r.Memory
	n.Pods.Used += max(r.Pods, 1)
}

// hold writes shares into the devices that they name. Where a device plugin
// picks the devices their names mean nothing: each share takes a free one.
func (n *Node) hold(h Holding, shares []sched.Share) {
	for _, s := range shares {
		d := n.device(s.Device)
		if d == nil {
			continue
		}
		h.MemoryMiB, h.ComputeMilli = s.MemoryMiB, s.ComputeMilli
		if n.Counted {
			h.MemoryMiB, h.ComputeMilli = d.MemoryMiB, d.computeMilli
		}
		h.Whole = h.MemoryMiB >= d.MemoryMiB && h.ComputeMilli >= d.computeMilli
		d.Holdings = append(d.Holdings, h)
		d.Granted = min(d.Granted+d.part(h), GPUs(sched.GPU))
	}
}

func (n *Node) device(name string) *Device {
	for i := range n.Devices {
		d := &n.Devices[i]
		if n.Counted && len(d.Holdings) == 0 || !n.Counted && d.Name == name {
			return d
		}
	}
	return nil
}

// part is how much of the device a holding takes: the larger of its parts of
// memory and of compute, in micro-GPUs.
func (d *Device) part(h Holding) GPUs {
	return max(ratio(h.MemoryMiB, d.MemoryMiB), ratio(h.ComputeMilli, d.computeMilli))
}

func ratio(part, whole int64) GPUs {
	if whole <= 0 {
		return 0
	}
	return GPUs((part*sched.GPU + whole - 1) / whole)
}

// Shared reports whether parts of the device are held.
func (d *Device) Shared() bool {
	return len(d.Holdings) > 0 && !d.Holdings[0].Whole
}

func (l *Ledger) viewPools(nodes []Node) []Pool {
	byName := map[string]*Pool{}
	for name := range l.pools {
		byName[poolOf(name)] = &Pool{Name: poolOf(name)}
	}
	for _, n := range nodes {
		p := byName[n.Pool]
		if p == nil {
			p = &Pool{Name: n.Pool}
			byName[n.Pool] = p
		}
		p.Nodes++
		for _, d := range n.Devices {
			p.count(n, d)
		}
	}
	list := make([]Pool, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, *byName[name])
	}
	return list
}

func (p *Pool) count(n Node, d Device) {
	p.Devices++
	p.Granted += d.Granted
	switch {
	case d.Unhealthy:
		p.Unhealthy++
	case d.Shared():
		p.Shared++
	case len(d.Holdings) == 0 && !n.Unschedulable:
		p.Free++
	}
}
