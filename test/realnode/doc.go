// Package realnode tries weir up --real-node: containers that share one
// simulated GPU through claims, while pods go and kubelet and agent are killed.
package realnode
