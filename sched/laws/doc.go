// Package laws states what the decision engine must never do, each law as one
// small check with a name, and tries them on random histories.
//
// The checks trust nothing that the engine says of itself: a [Ledger] follows
// the events and the decisions alone and knows by its own arithmetic who holds
// what, who is above quota and what would still fit. A [World] plays a
// [History] (arrivals, ends, failures, restarts …) against an engine and asks
// every law after every decision and whenever things have come to rest.
//
// That the checks can fail is tested too: for each law there is a planted
// violation, an engine that errs in one way, which that very law has to catch.
//
// It does not look for good decisions, only for lawful ones; what is good is
// told by the stories in package scenario.
package laws
