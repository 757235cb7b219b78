package state

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/sched"
)

// The labels by which NVIDIA's feature discovery describes a node's devices.
const (
	labelProduct = "nvidia.com/gpu.product"
	labelMemory  = "nvidia.com/gpu.memory" // MiB
)

// node is a Node with the slices that its driver published.
type node struct {
	obj    *corev1.Node
	slices map[string]*resourcev1.ResourceSlice
	claims set[string] // allocated there
	told   *sched.Node
}

func (s *State) node(name string) *node {
	n := s.nodes[name]
	if n == nil {
		n = &node{slices: map[string]*resourcev1.ResourceSlice{}, claims: set[string]{}}
		s.nodes[name] = n
	}
	return n
}

func (s *State) setNode(o *corev1.Node) {
	n := s.node(o.Name)
	s.relabelled = s.relabelled || n.obj == nil || !maps.Equal(n.obj.Labels, o.Labels)
	n.obj = o
}

// setSlice takes in a slice of Weir's driver; others are not Weir's business.
func (s *State) setSlice(slice *resourcev1.ResourceSlice) {
	if slice.Spec.Driver != ask.Driver {
		return
	}
	if slice.Spec.NodeName == nil || *slice.Spec.NodeName == "" {
		s.report("ResourceSlice", slice.Name, fmt.Errorf("spec.nodeName is empty; GPUs are devices of one node, so name it"))
		return
	}
	name := *slice.Spec.NodeName // cannot change
	if slice.Spec.Pool.Name != name {
		s.report("ResourceSlice", slice.Name, fmt.Errorf("spec.pool.name %q is not the node's name; Weir's driver names "+
			"the pool %q", slice.Spec.Pool.Name, name))
		return
	}
	s.node(name).slices[slice.Name] = slice
	s.noteLosses(name)
	s.dirty.nodes.add(name)
}

func (s *State) dropSlice(slice *resourcev1.ResourceSlice) {
	s.report("ResourceSlice", slice.Name, nil)
	if slice.Spec.Driver != ask.Driver || slice.Spec.NodeName == nil {
		return
	}
	name := *slice.Spec.NodeName
	delete(s.node(name).slices, slice.Name)
	s.noteLosses(name)
	s.dirty.nodes.add(name)
}

// deriveNode tells how a node looks now.
func (s *State) deriveNode(name string, d *difference) {
	n := s.nodes[name]
	if n == nil {
		return
	}
	if n.obj == nil {
		s.report("Node", name, nil)
		if n.told != nil {
			s.models.count(s, n.told.Devices, nil)
			n.told = nil
			d.groundsGone = append(d.groundsGone, sched.NodeGone{Name: name})
			s.touchClaimsOn(n)
		}
		if len(n.slices) == 0 && len(n.claims) == 0 {
			delete(s.nodes, name)
		}
		return
	}
	next := s.describe(name, n)
	if n.told != nil && reflect.DeepEqual(*n.told, next) {
		return
	}
	var before []sched.Device
	if n.told != nil {
		before = n.told.Devices
	}
	s.models.count(s, before, next.Devices)
	n.told = &next
	d.grounds = append(d.grounds, sched.NodeSet{Node: next})
	s.touchClaimsOn(n)
}

// touchClaimsOn marks the claims that hold devices of a node: the size of a
// device may be needed to read them.
func (s *State) touchClaimsOn(n *node) {
	for key := range n.claims {
		s.touchClaim(key)
	}
}

// describe returns a node as the engine sees it.
func (s *State) describe(name string, n *node) sched.Node {
	next := sched.Node{
		Name:          n.obj.Name,
		Pool:          s.poolOf(n.obj.Labels),
		Capacity:      ask.Allocatable(n.obj.Status.Allocatable),
		Unschedulable: unschedulable(n.obj),
	}
	if s.cfg.NodeClass != nil {
		next.FitClass = s.cfg.NodeClass(n.obj)
	}
	if len(n.slices) > 0 {
		next.Devices = s.publishedDevices(n)
	} else {
		s.report("Node", name, nil)
		next.Devices = countedDevices(n.obj)
		next.Counted = len(next.Devices) > 0
	}
	return next
}

// unschedulable reports whether a node takes no new pods for now: it is
// cordoned, or its kubelet is not well.
func unschedulable(n *corev1.Node) bool {
	if n.Spec.Unschedulable || n.DeletionTimestamp != nil {
		return true
	}
	for _, t := range n.Spec.Taints {
		if (t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable) &&
			t.Effect != corev1.TaintEffectPreferNoSchedule {
			return true
		}
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status != corev1.ConditionTrue
		}
	}
	return false
}

// publishedDevices reads the devices of a node from its slices. While the
// slices are being replaced, what can be read of them takes no new pods.
func (s *State) publishedDevices(n *node) []sched.Device {
	all := make([]*resourcev1.ResourceSlice, 0, len(n.slices))
	for _, name := range slices.Sorted(maps.Keys(n.slices)) {
		all = append(all, n.slices[name])
	}
	devices, err := claim.Devices(all)
	if errors.Is(err, claim.ErrIncomplete) {
		devices, err = readable(all), nil
	}
	s.report("Node", n.obj.Name, err)
	return devices
}

// readable returns the devices of slices that do not make a whole, each as the
// newest slice shows it, as such that take no new pods.
func readable(all []*resourcev1.ResourceSlice) []sched.Device {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b *resourcev1.ResourceSlice) int {
		return cmp.Compare(b.Spec.Pool.Generation, a.Spec.Pool.Generation)
	})
	var devices []sched.Device
	seen := set[string]{}
	for _, slice := range all {
		alone := *slice
		alone.Spec.Pool.ResourceSliceCount = 1
		part, _ := claim.Devices([]*resourcev1.ResourceSlice{&alone}) // told of when they are whole
		for _, d := range part {
			if _, ok := seen[d.Name]; !ok {
				seen.add(d.Name)
				d.Unhealthy = true
				devices = append(devices, d)
			}
		}
	}
	slices.SortFunc(devices, func(a, b sched.Device) int { return cmp.Compare(a.Name, b.Name) })
	return devices
}

// countedDevices makes up the devices of a node where a vendor's device plugin
// only tells their number.
func countedDevices(n *corev1.Node) []sched.Device {
	q, ok := n.Status.Allocatable[ask.WholeGPU]
	if !ok {
		return nil
	}
	memory, err := strconv.ParseInt(n.Labels[labelMemory], 10, 64)
	if err != nil || memory < 0 {
		memory = 0 // not known; whole devices can be granted all the same
	}
	devices := make([]sched.Device, min(max(q.Value(), 0), maxCounted))
	for i := range devices {
		devices[i] = sched.Device{
			Name:         "gpu-" + strconv.Itoa(i),
			Model:        n.Labels[labelProduct],
			MemoryMiB:    memory,
			ComputeMilli: sched.WholeCompute,
		}
	}
	return devices
}

// maxCounted bounds what is believed of a node's count, as the engine does.
const maxCounted = 64

// pool is a NodePool. The default one needs no object.
type pool struct {
	obj  *v1alpha1.NodePool
	told *sched.Pool
}

// setPool takes in a pool, or drops it when obj is nil.
func (s *State) setPool(name string, obj *v1alpha1.NodePool) {
	p := s.pools[name]
	if p == nil {
		p = &pool{}
		s.pools[name] = p
	}
	moved := p.obj == nil || obj == nil || !reflect.DeepEqual(p.obj.Spec.NodeSelector, obj.Spec.NodeSelector)
	p.obj = obj
	s.relabelled = s.relabelled || moved
	s.dirty.pools.add(name)
	if moved {
		for node := range s.nodes {
			s.dirty.nodes.add(node)
		}
	}
}

func (s *State) derivePool(name string, d *difference) {
	p := s.pools[name]
	obj := p.obj
	switch {
	case obj != nil:
	case name != v1alpha1.DefaultPool:
		if p.told != nil {
			d.groundsGone = append(d.groundsGone, sched.PoolGone{Name: name})
		}
		delete(s.pools, name)
		return
	default:
		obj = &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: name}} // as if it were written with nothing in it
	}
	next := obj.Pool()
	if p.told == nil || *p.told != next {
		p.told = &next
		d.grounds = append(d.grounds, sched.PoolSet{Pool: next})
	}
}

// poolOf returns the pool of a node with these labels: the first by name.
func (s *State) poolOf(labels map[string]string) string {
	best := v1alpha1.DefaultPool
	for name, p := range s.pools {
		if p.obj != nil && (best == v1alpha1.DefaultPool || name < best) && p.obj.Selects(labels) {
			best = name
		}
	}
	return best
}
