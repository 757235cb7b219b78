// Package sched is Weir's decision engine: it holds nodes, devices, owners and
// workloads, is fed with events, and says what to start, evict and move, and
// why anything waits.
//
// It is pure and deterministic: no clock, no I/O, no goroutine, no Kubernetes.
// The same events give the same decisions, byte for byte. The live scheduler,
// `weir plan`, the simulator and the tests run this very code.
//
// What it does not do: it never talks to a cluster (package kube does), never
// guesses a resource size (integers come in, integers go out), and is not safe
// for concurrent use (the caller serialises).
package sched
