package scenario

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// end: end NAME [pods N]: pods of it are done, all of them unless said.
func (s *story) end(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	pods := s.ledger.Of(w.ID, laws.Pod.Running)
	if c.peek("pods") {
		n, err := c.int("the number of pods")
		if err != nil {
			return err
		}
		if n > len(pods) {
			return fmt.Errorf("%s has only %d running pods", w.ID, len(pods))
		}
		pods = pods[:n]
	}
	if len(pods) == len(s.ledger.Of(w.ID, everyPod)) {
		return s.tell(sched.WorkloadGone{ID: w.ID})
	}
	for _, p := range pods {
		if err := s.tell(sched.PodGone{ID: p.ID}); err != nil {
			return err
		}
	}
	s.harmed[w.ID] = true
	return nil
}

// remove: delete NAME
func (s *story) remove(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	return s.tell(sched.WorkloadGone{ID: w.ID})
}

// suspend: suspend NAME, resume NAME
func (s *story) suspend(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	w.Suspended = c.words[0] == "suspend"
	return s.tell(sched.WorkloadSet{Workload: w})
}

// budget: budget NAME moves N
func (s *story) budget(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	if err := c.expect("moves"); err != nil {
		return err
	}
	if w.Moves, err = c.int("how often it may still be moved"); err != nil {
		return err
	}
	return s.tell(sched.WorkloadSet{Workload: w})
}

func (s *story) node(c *cursor) (sched.Node, error) {
	name, err := c.next("the node's name")
	if err != nil {
		return sched.Node{}, err
	}
	n, ok := s.ledger.Nodes[name]
	if !ok {
		return n, fmt.Errorf("there is no node %q; there are %s", name, known(s.ledger.Nodes))
	}
	return n, nil
}

// kill: kill node NAME. Its pods are recreated as their controllers would;
// bare pods are gone.
func (s *story) kill(c *cursor) error {
	if err := c.expect("node"); err != nil {
		return err
	}
	n, err := s.node(c)
	if err != nil {
		return err
	}
	var ids []string
	for id, p := range s.ledger.Pods {
		if p.Grant.Node == n.Name {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if err := s.tell(sched.NodeGone{Name: n.Name}); err != nil {
		return err
	}
	for _, id := range ids {
		s.harmed[s.ledger.Pods[id].Workload] = true
		if err := s.leave(sched.Decision{Action: sched.Evict, Pod: id}); err != nil {
			return err
		}
	}
	return nil
}

// cordon: cordon NODE, uncordon NODE
func (s *story) cordon(c *cursor) error {
	n, err := s.node(c)
	if err != nil {
		return err
	}
	n.Unschedulable = c.words[0] == "cordon"
	return s.tell(sched.NodeSet{Node: n})
}

// device: device NODE/DEVICE healthy|unhealthy
func (s *story) device(c *cursor) error {
	name, err := c.next("the device (n1/gpu-0)")
	if err != nil {
		return err
	}
	health, err := c.next("healthy or unhealthy")
	if err != nil {
		return err
	}
	nodeName, dev, _ := strings.Cut(name, "/")
	n, ok := s.ledger.Nodes[nodeName]
	i := slices.IndexFunc(n.Devices, func(d sched.Device) bool { return d.Name == dev })
	switch {
	case !ok || i < 0:
		return fmt.Errorf("there is no device %q; write it as n1/gpu-0", name)
	case health != "healthy" && health != "unhealthy":
		return fmt.Errorf("%q should be healthy or unhealthy", health)
	}
	n.Devices = slices.Clone(n.Devices)
	n.Devices[i].Unhealthy = health == "unhealthy"
	return s.tell(sched.NodeSet{Node: n})
}

// foreign: foreign NAME on NODE [devices N] [cpu C] [memory M] [part GPU-0 MEMORY COMPUTE]…,
// or foreign NAME gone
func (s *story) foreign(c *cursor) error {
	id, err := c.next("the name of the foreign pod")
	if err != nil {
		return err
	}
	if c.peek("gone") {
		return s.tell(sched.Vacated{ID: id})
	}
	if err := c.expect("on"); err != nil {
		return err
	}
	n, err := s.node(c)
	if err != nil {
		return err
	}
	o := sched.Occupied{ID: id, Node: n.Name, Resources: sched.Resources{Pods: 1}}
	err = options{
		"devices": value(&o.Devices, number),
		"cpu":     value(&o.Resources.CPU, cpus),
		"memory":  value(&o.Resources.Memory, bytes),
		"part": func(c *cursor) error {
			share, err := part(c)
			o.Shares = append(o.Shares, share)
			return err
		},
	}.read(c)
	if err != nil {
		return err
	}
	return s.tell(o)
}

// part reads DEVICE MEMORY COMPUTE.
func part(c *cursor) (share sched.Share, err error) {
	var memory, compute string
	if share.Device, err = c.next("the device"); err != nil {
		return share, err
	}
	if memory, err = c.next("its memory"); err != nil {
		return share, err
	}
	if compute, err = c.next("its compute"); err != nil {
		return share, err
	}
	if share.MemoryMiB, err = mib(memory); err != nil {
		return share, err
	}
	share.ComputeMilli, err = milli(compute)
	share.LimitMemoryMiB, share.LimitComputeMilli = share.MemoryMiB, share.ComputeMilli
	return share, err
}

// fail: fail NAME: the binding of its running pods failed.
func (s *story) fail(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	s.harmed[w.ID] = true
	for _, p := range s.ledger.Of(w.ID, laws.Pod.Running) {
		if err := s.tell(sched.GrantFailed{ID: p.ID}); err != nil {
			return err
		}
	}
	return nil
}

// began: began NAME in TIME
func (s *story) began(c *cursor) error {
	w, err := s.work(c)
	if err != nil {
		return err
	}
	if err := c.expect("in"); err != nil {
		return err
	}
	var ahead int64
	if err := value(&ahead, span)(c); err != nil {
		return err
	}
	for _, p := range s.ledger.Of(w.ID, laws.Pod.Running) {
		ev := sched.PodGranted{ID: p.ID, Grant: p.Grant, Since: s.ledger.Now + sched.Time(ahead)}
		if err := s.tell(ev); err != nil {
			return err
		}
	}
	return nil
}

// again asks the engine once more.
func (s *story) again(*cursor) error {
	s.round = nil
	return s.decide()
}

func (s *story) settleNow(*cursor) error { return s.settle() }

// wait: wait DURATION
func (s *story) wait(c *cursor) error {
	w, err := c.next("how long (90s, 10m)")
	if err != nil {
		return err
	}
	ms, err := span(w)
	if err != nil {
		return err
	}
	if s.happened {
		if err := s.decide(); err != nil {
			return err
		}
	}
	s.ledger.Now += sched.Time(ms)
	return s.tell()
}
