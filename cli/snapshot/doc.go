// Package snapshot reads the objects of a cluster once, feeds them to a fresh
// decision engine and gives the result as plain data: pools, nodes with who
// holds what, workloads with why they wait, owners with what they use.
//
// The answers are those of the live scheduler because the translator and the
// engine are the same; the scheduler itself is not asked and need not run.
// This package changes nothing in the cluster and decides nothing.
package snapshot
