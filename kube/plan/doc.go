// Package plan says what the scheduler would do with objects from files, with
// no cluster. It reads them ([Read]), fills in what a cluster would have filled
// in, lets admission look at them, makes the pods that controllers would make,
// and then asks the very engine, translator and node fitness of the live
// scheduler ([Input.Run]).
//
// It writes nothing and keeps nothing. What it answers depends on the objects
// and the time that it is given alone: the same input gives the same bytes.
package plan
