// Package quantity reads amounts as people write them on a command line (GPUs,
// shares of a GPU, memory, CPU) and prints them back in the same words.
//
// A parser either understands its text exactly or says in one sentence what
// would be understood; nothing is rounded.
package quantity
