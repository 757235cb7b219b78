// Package state translates Kubernetes objects into the engine's events. It is
// the only such translator: the live scheduler, `weir plan`, `weir explain`
// and a restart all feed their objects through it.
//
// Every fact that is told to the engine is derived from the objects that exist
// now and never from how they came to be, so that any order of arrival ends in
// the same facts, and so does a restart. [State.Set] and [State.Delete] derive
// anew only what depends on the object and return the difference to what was
// told before: the cost is that of the change, not of the cluster.
//
// The package decides nothing and writes nothing. What it cannot make sense of
// is kept as a [Problem] for somebody to tell its author, and never stops the
// rest. A State is not safe for concurrent use.
package state
