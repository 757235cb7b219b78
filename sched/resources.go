package sched

import (
	"maps"
	"slices"
)

// GPU is one whole device in the unit in which owners are charged:
// micro-GPUs. A quota of 2.5 GPUs is 2_500_000.
const GPU int64 = 1_000_000

// WholeCompute is the compute of one whole device in milli.
const WholeCompute int64 = 1000

// Unbounded, as an entry of an [Amount] used as a quota or a limit, means that
// the resource is not counted there.
const Unbounded int64 = -1

// Amount is what owners are guaranteed, capped at and charged:
// GPUs in micro-GPUs, CPU in milli-CPUs, memory in bytes.
type Amount struct {
	GPU    int64
	CPU    int64
	Memory int64
}

// NoLimit is the limit of an owner that has none.
var NoLimit = Amount{GPU: Unbounded, CPU: Unbounded, Memory: Unbounded}

// Resources is what a pod takes from a node beside devices, and what a node
// has of it. Other holds any further extended resource by its full name.
type Resources struct {
	CPU    int64 // milli-CPUs
	Memory int64 // bytes
	Pods   int64 // pod slots; a pod takes 1 even when this is 0
	Other  map[string]int64
}

// Clone returns a copy that shares nothing with r.
func (r Resources) Clone() Resources {
	r.Other = maps.Clone(r.Other)
	return r
}

// names returns the names of r's other resources in order.
func (r Resources) names() []string {
	if len(r.Other) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(r.Other))
}
