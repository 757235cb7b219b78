// Package submit makes the Kubernetes object of a workload from what people
// say on the command line: a Pod to build in, a Job to train, a Deployment to
// infer.
//
// The objects are ordinary ones: what Weir has to know stands on them as words
// (annotations and labels of weir.dev), so the same workload can be kept as
// YAML and applied with kubectl. Nothing is sent to a cluster here.
package submit
