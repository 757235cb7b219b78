// Package openb is a production day to replay: the openb trace of a cluster of
// 1,213 nodes with 6,212 GPUs, a sample organisation that shares it, and a
// schedule that plays the trace's 8,152 pods in about a hundred seconds.
//
// # The trace
//
// [Nodes] and [Pods] give the embedded trace; [ReadNodes] and [ReadPods] read
// any file of the same form, row by row, and say of a broken row which file,
// line and column it is, what stands there and what would be valid. Node and
// Pod turn themselves into Kubernetes objects. See data/README.md for where
// the trace comes from.
//
// # The schedule
//
// The trace spans 149 days, of which the first 114 bring two dozen pods; in
// the 35 days after, pods come all the time. [Plan] plays those 35 days
// linearly in [DefaultArrivals], and what came before at their start.
//
// Run times cannot be played at the same speed: half of the pods run for less
// than nine minutes, which would be 18 milliseconds. As the trace was taken
// from a cluster with other work in it, its pods alone never hold more than
// about 50 GPUs at once, either. So run times are compressed to their
// logarithm ([Compress]): order and tail are kept, and the cluster fills. A pod
// that ran for d runs for
//
//	60 s + 20 s × log2(1 + d/60 s)
//
// which is a minute at least, two for the median pod and seven at most.
//
// All pods of the trace together ask for 6,087 of the 6,212 GPUs. What makes
// the cluster too small is the sample organisation's own training: gangs of
// whole nodes ([Gangs]), of which the trace has none. With them 123% of all
// GPUs are asked for when the last pod comes, and more than all of them for
// about a minute; then the cluster drains.
//
// # The organisation
//
// Three departments and eight projects ([Organisation]) divide all 6,212 GPUs
// among them. Who submits what is decided by the quality of service and the
// arrival of a pod and by a hash of its name ([Assign]). Inference (LS) is not
// preemptible, training (BE, Burstable) is. What is to be seen, in seconds
// from the start at the default speed:
//
//	 10   foundation takes up its quota, by 50, with five gangs of 41 nodes each
//	 25   batch and language train above their quotas, later vision too, on what
//	      search, assistant and sandbox lend (borrowing)
//	 75   the cluster is full. assistant, all of whose quota is lent, comes back:
//	      860 GPUs in 25 s, taken from the borrowers (reclaim); and what vision
//	      serves pushes out what vision trains (preemption)
//	 95   an urgent gang of foundation pushes out one of its other gangs
//	      (preemption), and recommend asks for more than its quota: as it may
//	      not be preempted, it may not borrow, and waits
//	100   the last pod has come. sandbox never came, and lent all the time
//
// # What it does not do
//
// It creates nothing and keeps no time: the caller walks the schedule against
// its own clock. Pods of the trace have no controller: whoever replays stands
// for it, and creates a pod anew, by [Item.Object], when it was evicted. The
// gangs are Jobs, which see to that themselves.
package openb
