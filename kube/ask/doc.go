// Package ask reads what a pod asks for: it turns a pod, with its annotations,
// labels and resource claims, into a [sched.Ask], and the words that people
// write on pods and their owners (project, kind, priority …) into [Words].
//
// It owns every annotation, label and driver name of Weir. It reads only: no
// client, no cache, no defaults that depend on a cluster. Objects that are
// referred to are looked up through [Claims]. Quantities stay integers all the
// way; what cannot be read exactly is an [Error], never a guess.
package ask
