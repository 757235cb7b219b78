// Package cluster runs a whole Kubernetes control plane inside this process:
// etcd, kube-apiserver and the controllers that turn Jobs, Deployments and
// claim templates into pods and claims. It is what `weir up` starts.
//
// The cluster lives in one directory and survives a restart and a SIGKILL of
// the process at any moment. It listens on the loopback interface only; etcd
// listens on a Unix socket that only the same user can open.
//
// Package cluster does not schedule and has no nodes: the scheduler is the
// caller's, simulated nodes are package simnode's. It leaves out what only a
// cluster with real containers needs: services, volumes, service account
// tokens inside pods.
package cluster
