package live_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/live"
)

// The benchmarks measure a burst once each:
//
//	go test ./kube/live -run '^$' -bench . -benchtime 1x
const (
	burst      = 4000
	burstNodes = 500
)

// BenchmarkCountNodes binds a burst of one-GPU pods that wait already, first
// with a plain client, then with the scheduler.
func BenchmarkCountNodes(b *testing.B) {
	for b.Loop() {
		w := newWorld(b, nodes(burstNodes, 8, true)...)
		w.project("ml", "4000")
		raw := w.rawBinds()
		w.submitMany(func(i int) *corev1.Pod { return pod("ml", fmt.Sprintf("p%d", i), 1) })
		rate, writes := w.burst()
		b.ReportMetric(raw, "raw/s")
		b.ReportMetric(rate, "weir/s")
		b.ReportMetric(100*rate/raw, "%raw")
		b.ReportMetric(writes, "writes/pod")
	}
}

// BenchmarkClaims binds a burst of half-GPU pods whose claims exist.
func BenchmarkClaims(b *testing.B) {
	for b.Loop() {
		w := newWorld(b, nodes(burstNodes, 8, false)...)
		w.project("ml", "4000")
		raw := w.rawBinds()
		half := w.share(pod("ml", "half", 0, ask.GPUFraction+"=0.5"))
		w.submitMany(func(i int) *corev1.Pod {
			p := half.DeepCopy()
			p.Name = fmt.Sprintf("p%d", i)
			return p
		})
		w.claims(burst)
		rate, writes := w.burst()
		b.ReportMetric(raw, "raw/s")
		b.ReportMetric(rate, "weir/s")
		b.ReportMetric(100*rate/raw, "%raw")
		b.ReportMetric(writes, "writes/pod")
	}
}

// BenchmarkRestart measures the first decision on a full cluster.
func BenchmarkRestart(b *testing.B) {
	for b.Loop() {
		w := newWorld(b, nodes(1000, 10, true)...)
		w.project("ml", "10000")
		w.fill(10_000)
		w.submit(pod("ml", "late", 0))
		start := time.Now()
		w.scheduler()
		w.bound("ml/late")
		b.ReportMetric(time.Since(start).Seconds(), "s/first")
	}
}

// BenchmarkReclaim measures how long 400 pods of an owner under its quota take
// to start in a cluster that is full of borrowers.
func BenchmarkReclaim(b *testing.B) {
	for b.Loop() {
		w := newWorld(b, nodes(burstNodes, 8, true)...)
		w.project("ml", "0")
		w.project("owner", "4000")
		w.submitMany(func(i int) *corev1.Pod { return pod("ml", fmt.Sprintf("p%d", i), 1, ask.Preemptible+"=true") })
		w.burst()
		start := time.Now()
		w.each(400, func(i int) { w.submit(pod("owner", fmt.Sprintf("o%d", i), 1)) })
		b.ReportMetric(time.Since(start).Seconds(), "s/submitted")
		for bound := 0; bound < 400; time.Sleep(20 * time.Millisecond) {
			list := must(w.kube.CoreV1().Pods("owner").List(w.Context(), metav1.ListOptions{ResourceVersion: "0"}))
			bound = 0
			for i := range list.Items {
				if list.Items[i].Spec.NodeName != "" {
					bound++
				}
			}
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/bound")
	}
}

// fill binds n one-GPU pods of Weir's, as a scheduler before this one did.
func (w *world) fill(n int) {
	w.each(n, func(i int) {
		p := pod("ml", fmt.Sprintf("old%d", i), 1)
		p.Spec.NodeName = fmt.Sprintf("sim-%03d", i%1000)
		w.submit(p)
	})
}

// rawBinds measures what a plain client with 100 workers binds a second.
func (w *world) rawBinds() float64 {
	w.submitMany(func(i int) *corev1.Pod {
		p := pod("ml", fmt.Sprintf("raw%d", i), 0)
		p.Spec.SchedulerName = "raw"
		return p
	})
	time.Sleep(time.Second)
	start := time.Now()
	w.each(burst, func(i int) {
		err := w.kube.CoreV1().Pods("ml").Bind(w.Context(), &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: fmt.Sprintf("raw%d", i)},
			Target:     corev1.ObjectReference{Kind: "Node", Name: w.someNode(i)},
		}, metav1.CreateOptions{})
		if err != nil {
			w.Error(err)
		}
	})
	rate := burst / time.Since(start).Seconds()
	w.each(burst, func(i int) {
		now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
		if err := w.kube.CoreV1().Pods("ml").Delete(w.Context(), fmt.Sprintf("raw%d", i), now); err != nil {
			w.Error(err)
		}
	})
	return rate
}

// claims waits until kube-controller-manager has made n claims.
func (w *world) claims(n int) {
	for made := 0; made < n; time.Sleep(100 * time.Millisecond) {
		list, err := w.kube.ResourceV1().ResourceClaims("ml").List(w.Context(), metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			w.Fatal(err)
		}
		made = len(list.Items)
	}
}

func (w *world) someNode(i int) string {
	list := w.nodeNames
	return list[i%len(list)]
}

func (w *world) submitMany(make func(i int) *corev1.Pod) {
	w.each(burst, func(i int) { w.submit(make(i)) })
}

// each does something n times with 100 workers.
func (w *world) each(n int, do func(i int)) {
	var next atomic.Int64
	var working sync.WaitGroup
	for range 100 {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	working.Wait()
}

// burst starts a scheduler and measures, from its first to its last binding,
// how many pods it binds a second and what it writes for each.
func (w *world) burst() (rate, writes float64) {
	var s *live.Scheduler
	s, _ = w.scheduler()
	count := func(resource, verb string) float64 { return written(w, s, resource, verb) }
	w.eventually("a first binding", func() error {
		if count("pods/binding", "create") == 0 {
			return fmt.Errorf("none")
		}
		return nil
	})
	start := time.Now()
	for end := start.Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if bound(w, s) >= burst {
			break
		}
		if time.Now().After(end) {
			w.Fatalf("%v of %d pods bound in two minutes", bound(w, s), burst)
		}
	}
	rate = burst / time.Since(start).Seconds()
	time.Sleep(2 * time.Second) // let the rest be told
	return rate, count("", "") / burst
}

// written sums up the scheduler's writes; "" stands for any.
func written(t testing.TB, s *live.Scheduler, resource, verb string) float64 {
	t.Helper()
	sum := 0.0
	for _, family := range must(s.Metrics().Registry().Gather()) {
		if family.GetName() != "weir_api_writes_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if (resource == "" || labels["resource"] == resource) && (verb == "" || labels["verb"] == verb) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// bound is how many bindings the API server has confirmed.
func bound(t testing.TB, s *live.Scheduler) float64 {
	t.Helper()
	for _, family := range must(s.Metrics().Registry().Gather()) {
		if family.GetName() == "weir_bind_duration_seconds" {
			return float64(family.GetMetric()[0].GetHistogram().GetSampleCount())
		}
	}
	return 0
}
