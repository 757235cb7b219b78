// Package trace reads what a cluster was asked for: jobs with the time they
// were submitted, how long they ran, how many GPUs they had and whose they were.
//
// [Open] reads files, gzip or zstd or plain, of any CSV whose first line names
// its columns. The names that [Known] lists need no telling, others are mapped
// by [Columns]. A file without a column for the tenant belongs to the tenant of
// its own name. What is broken is refused with file, line, column, value and
// what would be valid; nothing is guessed and nothing is left out.
//
// [Philly] is a production trace that comes with the program: 82,247 jobs of 15
// virtual clusters at Microsoft. See data/README.md for where it comes from.
//
// Jobs are held in memory, about a hundred bytes each. The package simulates
// nothing.
package trace
