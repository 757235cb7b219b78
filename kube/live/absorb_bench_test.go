package live

import (
	"fmt"
	"log/slog"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/metrics"
	"github.com/weir-gpu/weir/kube/watch"
)

// BenchmarkAbsorb is what a restart costs the loop beside the API server's
// lists: 1,000 nodes, 10,000 pods, and the first decision.
func BenchmarkAbsorb(b *testing.B) {
	changes := fullCluster(8000)
	for b.Loop() {
		l := absorbed(b, changes)
		l.engine.Decide(1)
	}
}

// BenchmarkBrief is what it costs to say why one pod of thousands waits.
func BenchmarkBrief(b *testing.B) {
	l := absorbed(b, fullCluster(8000))
	l.engine.Decide(1)
	waiting := l.engine.Waiting()
	if len(waiting) != 2000 {
		b.Fatalf("%d pods wait, want 2000", len(waiting))
	}
	i := 0
	for b.Loop() {
		l.engine.Brief(waiting[i%len(waiting)])
		i++
	}
}

// fullCluster returns 1,000 nodes of eight GPUs and 10,000 pods of one GPU, so
// many of which are bound.
func fullCluster(bound int) []watch.Change {
	var changes []watch.Change
	add := func(o watch.Change) { changes = append(changes, o) }
	add(watch.Change{Object: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}}})
	add(watch.Change{Object: &v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: "ml"}}})
	for i := range 1000 {
		n := countNode()
		n.Name = fmt.Sprintf("n%d", i)
		n.Labels = map[string]string{corev1.LabelHostname: n.Name}
		add(watch.Change{Object: n})
	}
	for i := range 10_000 {
		p := wholePod()
		p.Name, p.UID = fmt.Sprintf("p%d", i), types.UID(fmt.Sprint(i))
		if i < bound {
			p.Spec.NodeName = fmt.Sprintf("n%d", i%1000)
		}
		add(watch.Change{Object: p})
	}
	return changes
}

// absorbed returns a loop that has seen the changes.
func absorbed(b *testing.B, changes []watch.Change) *loop {
	b.Helper()
	s := &Scheduler{
		opts: Options{Clock: clock.RealClock{}}, log: slog.New(slog.DiscardHandler),
		clients: clients{kube: fake.NewClientset()}, metrics: metrics.New(),
	}
	s.health.clock = clock.RealClock{}
	l, err := newLoop(s, watch.New(s.log), nil)
	if err != nil {
		b.Fatal(err)
	}
	for i := range changes {
		l.take(&changes[i])
	}
	return l
}
