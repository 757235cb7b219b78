// Package text lays out what the weir command prints: aligned tables, trees
// and colours.
//
// It knows how to print, not what: it has no idea of GPUs or of Kubernetes.
package text
