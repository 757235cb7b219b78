// Package show writes what a snapshot says as text for people: one function
// per table or page.
//
// It prints plain data and asks nothing of a cluster or of the engine, so that
// every page has a golden file. For programs there is JSON, which is the data
// itself; the words here may change.
package show
