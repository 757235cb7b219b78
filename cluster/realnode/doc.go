// Package realnode runs a node of a cluster on this machine: a kubelet,
// containerd and Weir's node agent with simulated GPUs, so that real containers
// share them.
//
// The node has namespaces of its own for processes, mounts and the network,
// whose first process is this program again. When that process ends, in
// whatever way, the kernel ends everything in there, containers included, and
// takes down what was mounted and the network; it ends as soon as this process
// does, which it notices by a pipe. What is left then are control groups and a
// folder, which [Start] removes, too, before it begins: there is one way of
// cleaning up, and it does not depend on how a node has ended.
//
// Inside, /run and /var are the node's own, so that kubelet and containerd find
// everything where they look for it, and leave nothing on the machine. Two
// connections lead out: to the API server, and from it to the kubelet. Pods
// have addresses, and reach each other and nothing else.
//
// It needs root, runc, the CNI plugins and busybox from the machine. The other
// programs are built by package build.
package realnode
