// Package admit is Weir's admission webhook. It gives the pods of projects to
// Weir, turns what their words ask for into claims, and refuses, with one
// sentence each, what could never run: pods, the objects that make pods,
// departments, projects, node pools and rules.
//
// It decides from what it is asked about and what [Config] tells of the
// cluster. It writes one kind of object, the claim template of a shape that
// was not asked for before. Nothing depends on its having been asked:
// what gets by (it may be down) is refused or explained by package kube/state.
package admit
