package sched

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// maxDevices bounds the devices of a node; real ones have up to 16, MIG parts
// included 56.
const maxDevices = 64

func (e *Engine) setNode(n Node) error {
	if n.Name == "" {
		return fmt.Errorf("node without a name")
	}
	if len(n.Devices) > maxDevices {
		return fmt.Errorf("node %q: %d devices are more than %d", n.Name, len(n.Devices), maxDevices)
	}
	seen := map[string]bool{}
	if n.HostMiB < 0 {
		return fmt.Errorf("node %q: %d MiB of host memory are less than nothing", n.Name, n.HostMiB)
	}
	for _, d := range n.Devices {
		switch {
		case seen[d.Name]:
			return fmt.Errorf("node %q: device %q is named twice", n.Name, d.Name)
		case d.MemoryMiB < 0 || d.ComputeMilli < 0:
			return fmt.Errorf("node %q: device %q has negative memory or compute", n.Name, d.Name)
		}
		seen[d.Name] = true
	}
	if n.Pool == "" {
		n.Pool = DefaultPool
	}
	n.Devices = slices.Clone(n.Devices)
	n.Capacity = n.Capacity.Clone()
	x := e.nodeIndex[n.Name]
	if x != nil && !x.gone && reflect.DeepEqual(x.Node, n) {
		return nil
	}
	if x == nil {
		x = &node{id: int32(len(e.nodes)), Node: Node{Name: n.Name}, gone: true}
		e.nodes = append(e.nodes, x)
		e.nodeIndex[n.Name] = x
		e.ranksOld = true
	}
	e.relay(x, func() { e.fill(x, n) })
	return nil
}

// fill takes over a node's description. Nothing may be held on it.
func (e *Engine) fill(x *node, n Node) {
	p := e.pool(n.Pool)
	if x.pool != p {
		if x.pool != nil {
			x.pool.removeNode(x)
		}
		x.pool, x.leafAt = p, len(p.nodes)
		p.nodes = append(p.nodes, x)
	}
	x.Node, x.gone = n, false
	x.cap = e.resources(n.Capacity)
	if n.Capacity.Pods == 0 {
		x.cap[resPods] = 1 << 30 // a node that does not say has no bound
	}
	for v := range x.used {
		x.used[v] = make([]int64, len(e.resNames))
	}
	x.healthy = 0
	x.devices = make([]device, len(n.Devices))
	x.uniform = true
	for i, d := range n.Devices {
		class := deviceClass{model: d.Model, mem: d.MemoryMiB, comp: d.ComputeMilli}
		id, ok := e.classIndex[class]
		if !ok {
			id = int32(len(e.classes))
			e.classIndex[class] = id
			e.classes = append(e.classes, class)
		}
		x.devices[i] = device{name: d.Name, class: id, mem: d.MemoryMiB, comp: d.ComputeMilli, sick: d.Unhealthy}
		x.uniform = x.uniform && x.devices[i].class == x.devices[0].class
		x.healthy += int64(b2i(!d.Unhealthy))
	}
	x.kind = e.kindOf(x)
	x.rooms, x.roomsOf = [2]*rooms{}, nil
}

// kindOf numbers the kinds of nodes.
func (e *Engine) kindOf(x *node) int32 {
	key := fmt.Appendf(nil, "%t %t %q", x.Counted, x.Unschedulable, x.Capacity.names())
	for _, amount := range x.cap {
		key = strconv.AppendInt(append(key, ' '), amount, 36)
	}
	for i := range x.devices {
		key = strconv.AppendInt(append(key, '/'), int64(x.devices[i].class), 36)
		key = strconv.AppendBool(key, x.devices[i].sick)
	}
	if _, ok := e.kinds[string(key)]; !ok {
		e.kinds[string(key)] = int32(len(e.kinds))
	}
	return e.kinds[string(key)]
}

// removeNode takes n out of p's list; the places of later nodes change, so
// everything derived is void.
func (p *pool) removeNode(n *node) {
	p.nodes = slices.Delete(p.nodes, n.leafAt, n.leafAt+1)
	for i := n.leafAt; i < len(p.nodes); i++ {
		p.nodes[i].leafAt = i
	}
	p.changes.forget()
	p.reconfigured()
}

// relay lifts everything held on x, lets change alter the node, and lays what
// was held down again on the devices of the same names. What does not fit any
// more stays held: facts win over capacities.
func (e *Engine) relay(x *node, change func()) {
	held := slices.Clone(x.holders)
	was := make([]hold, len(held))
	for i, h := range held {
		was[i] = h.in
		e.put(h, 0)
	}
	counted := x.Counted
	change()
	x.pool.reconfigured()
	for i, h := range held {
		h.need = e.resize(h.need)
		if x.Counted != counted && h.told != nil {
			h.parts = e.partsOf(h.told, x, len(h.told))
		}
		e.reseat(h, x)
		if h.shape != nil { // a device may be known only now
			h.charge = e.chargeOf(h.shape, x, h.parts)
		}
		e.put(h, was[i])
	}
	e.touch(x, true)
	for _, id := range sortedKeys(e.away) {
		if o := e.away[id]; o.Node == x.Name {
			delete(e.away, id)
			_ = e.occupied(o) // was accepted before
		}
	}
	e.found(x.Name)
	for _, s := range slices.Clone(e.seats) {
		if s.hold.node == x && !s.hold.sound() {
			e.unseat(s)
		}
	}
	for _, b := range slices.Clone(e.bookings) {
		if slices.ContainsFunc(b.holdings, func(h *holding) bool { return h.node == x && !h.sound() }) {
			e.unbook(b)
		}
	}
}

// sound reports whether a promised place still exists on open, healthy ground.
func (h *holding) sound() bool {
	if n := h.node; !n.open() || n.Counted {
		return n.open() && (len(h.parts) == 0 || n.held[later] <= n.healthy)
	}
	for _, p := range h.parts {
		if p.dev < 0 || h.node.devices[p.dev].sick {
			return false
		}
	}
	return true
}

func (e *Engine) resize(need []int64) []int64 {
	for len(need) < len(e.resNames) {
		need = append(need, 0)
	}
	return need
}

// reseat finds the devices of h's parts on x by name.
func (e *Engine) reseat(h *holding, x *node) {
	h.node = x
	for i := range h.parts {
		p := &h.parts[i]
		p.dev = int32(slices.IndexFunc(x.devices, func(d device) bool { return d.name == p.name }))
		if p.dev >= 0 && x.Counted { // whole devices, whatever their size now
			d := &x.devices[p.dev]
			p.mem, p.comp, p.limMem, p.limComp = d.mem, d.comp, d.mem, d.comp
		}
	}
}

func (e *Engine) dropNode(name string) {
	x := e.nodeIndex[name]
	if x == nil || x.gone {
		return
	}
	for _, h := range slices.Clone(x.holders) {
		switch {
		case h.in == 0: // went with an earlier one
		case h.w == nil:
			e.put(h, 0)
		case h.pod == nil:
			e.unseatHolding(h)
		case h.pod.state == promised:
			e.unbook(h.w.booking)
		default:
			e.lose(h.pod)
		}
	}
	for _, id := range sortedKeys(e.foreign) {
		if e.foreign[id].node == x {
			delete(e.foreign, id)
		}
	}
	e.forgetAside(x)
	x.gone = true
	x.pool.reconfigured()
	e.touch(x, false)
}

// lose takes from p what it held on a node that is gone.
func (e *Engine) lose(p *pod) {
	p.grant = grantOf(p.hold)
	p.wasLeaving = p.state == leaving
	e.release(p)
	e.setLost(p)
	e.requeue(p.w)
}

// setLost remembers a pod whose node is not there.
func (e *Engine) setLost(p *pod) {
	p.state = lost
	on := e.lostOn[p.grant.Node]
	if on == nil {
		on = map[string]*pod{}
		e.lostOn[p.grant.Node] = on
	}
	on[p.id] = p
}

func (e *Engine) clearLost(p *pod) {
	delete(e.lostOn[p.grant.Node], p.id)
	p.state = waiting
}

// found gives the pods of a node that appeared what they hold there.
func (e *Engine) found(node string) {
	for _, id := range sortedKeys(e.lostOn[node]) {
		p := e.pods[id]
		leave := p.wasLeaving
		e.clearLost(p)
		e.grantTo(p, p.grant, p.since)
		if leave {
			e.podLeaving(id)
		}
		e.requeue(p.w)
	}
}
