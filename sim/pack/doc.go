// Package pack fills a cluster with pods in random order until no more fit, and
// says how much of its GPUs was given out: the protocol of "Beware of
// Fragmentation" (Weng et al., USENIX ATC'23), step by step, so that figures
// can be held against the published ones.
//
//   - [Draw] makes a cluster and a stream of pods from a trace and a seed: the
//     pods in random order, inflated to 130% of all GPUs.
//   - [Run] offers the pods to the scheduler's engine one at a time. A pod that
//     fits nowhere is dropped; nothing ends.
//
// The package has no placement rule of its own: the engine that decides is that
// of the live scheduler, with the rule under test as its configuration.
package pack
