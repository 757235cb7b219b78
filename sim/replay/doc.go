// Package replay plays a trace of jobs against the decision engine, on a
// cluster and with quotas that are data, and says what became of the jobs.
//
// It drives the very engine of the live scheduler and has no policy of its own:
// it keeps the clock, tells the engine what comes, ends and fails, and carries
// out what the engine decides. The same jobs, plan and seed give the same
// result.
//
// A [Plan] says how the cluster is shared. [Static] gives each tenant GPUs of
// its own, sized by the tenant's [Demand]; [Shared] is one pool with quotas.
// [Advise] proposes quotas under which no tenant waits longer than under the
// static plan, and [Shrink] looks for the smallest pool for which there are
// any.
//
// What it does not do: it knows no network, no images to pull and no time to
// start or stop a pod. Jobs run exactly as long as the trace says.
package replay
