// Package metrics holds what the scheduler counts and measures for Prometheus:
// base units, and labels whose values are bounded by the number of owners and
// node pools, never by pods or workloads.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-gpu/weir/sched"
)

// Set is the metrics of one scheduler. Its methods may be called from any
// goroutine.
type Set struct {
	registry  *prometheus.Registry
	duration  prometheus.Histogram
	decisions *prometheus.CounterVec
	pods      *prometheus.GaugeVec
	owners    *prometheus.GaugeVec
	writes    *prometheus.CounterVec
	binding   prometheus.Histogram
	failures  *prometheus.CounterVec
	leading   prometheus.Gauge
}

// New returns metrics in a registry of their own.
func New() *Set {
	s := &Set{
		registry: prometheus.NewRegistry(),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_decision_duration_seconds",
			Help:    "How long the engine took to decide, per round.",
			Buckets: prometheus.ExponentialBuckets(1e-6, 4, 12),
		}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_decisions_total",
			Help: "Decisions by action (start, evict, move) and, for what was stopped, rule.",
		}, []string{"action", "rule"}),
		pods: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_pods",
			Help: "Pods by state: waiting, starting (being bound), running.",
		}, []string{"state"}),
		owners: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_owner_gpus",
			Help: "GPUs of departments and projects per node pool: quota, requested, granted, borrowed, lent.",
		}, []string{"owner", "pool", "what"}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_api_writes_total",
			Help: "Writes sent to the API server, repeated ones included.",
		}, []string{"resource", "verb"}),
		binding: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "weir_bind_duration_seconds",
			Help:    "From the decision to start a pod to the API server's answer that it is bound.",
			Buckets: prometheus.ExponentialBuckets(1e-3, 2, 16),
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_failures_total",
			Help: "Decisions that could not be carried out, by action.",
		}, []string{"action"}),
		leading: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_leading",
			Help: "1 while this instance decides.",
		}),
	}
	s.registry.MustRegister(s.duration, s.decisions, s.pods, s.owners, s.writes, s.binding, s.failures, s.leading,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// Handler serves the metrics over HTTP.
func (s *Set) Handler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
}

// Registry returns the registry, to gather from.
func (s *Set) Registry() *prometheus.Registry { return s.registry }

// Decided records one round of the engine.
func (s *Set) Decided(took time.Duration, decisions []sched.Decision) {
	s.duration.Observe(took.Seconds())
	for i := range decisions {
		s.decisions.WithLabelValues(string(decisions[i].Action), string(decisions[i].Rule)).Inc()
	}
}

// Wrote records a write to the API server.
func (s *Set) Wrote(resource, verb string) { s.writes.WithLabelValues(resource, verb).Inc() }

// Bound records that a pod was bound so long after the decision.
func (s *Set) Bound(after time.Duration) { s.binding.Observe(after.Seconds()) }

// Failed records a decision that could not be carried out.
func (s *Set) Failed(a sched.Action) { s.failures.WithLabelValues(string(a)).Inc() }

// Leading records whether this instance decides.
func (s *Set) Leading(yes bool) {
	s.leading.Set(0)
	if yes {
		s.leading.Set(1)
	}
}

// Pods records how many pods are in each state.
func (s *Set) Pods(waiting, starting, running int) {
	s.pods.WithLabelValues("waiting").Set(float64(waiting))
	s.pods.WithLabelValues("starting").Set(float64(starting))
	s.pods.WithLabelValues("running").Set(float64(running))
}

// Owners records the use of every owner; those no longer named vanish.
func (s *Set) Owners(uses []sched.Use) {
	s.owners.Reset()
	for i := range uses {
		u := &uses[i]
		for _, w := range []struct {
			what string
			gpu  int64
		}{
			{"quota", u.Quota.GPU}, {"requested", u.Requested.GPU}, {"granted", u.Granted.GPU},
			{"borrowed", u.Borrowed.GPU}, {"lent", u.Lent.GPU},
		} {
			if w.gpu != sched.Unbounded {
				s.owners.WithLabelValues(u.Owner, u.Pool, w.what).Set(float64(w.gpu) / float64(sched.GPU))
			}
		}
	}
}
