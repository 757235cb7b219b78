package live

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clientgotesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/kube/crew"
	"github.com/weir-gpu/weir/kube/metrics"
	"github.com/weir-gpu/weir/kube/status"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/sched"
)

// script is an engine that decides what a test says and writes down what it is
// told about pods.
type script struct {
	next []sched.Decision
	told []string
	ex   sched.Explanation
}

func (s *script) Apply(ev sched.Event) error {
	switch ev := ev.(type) {
	case sched.PodSet:
		s.told = append(s.told, "set "+ev.Pod.ID)
	case sched.PodGranted:
		s.told = append(s.told, fmt.Sprintf("granted %s %d", ev.ID, len(ev.Grant.Devices)))
	case sched.PodGone:
		s.told = append(s.told, "gone "+ev.ID)
	case sched.PodLeaving:
		s.told = append(s.told, "leaving "+ev.ID)
	case sched.GrantFailed:
		s.told = append(s.told, "failed "+ev.ID)
	case sched.EvictFailed:
		s.told = append(s.told, "stays "+ev.ID)
	case sched.Expect:
		s.told = append(s.told, fmt.Sprintf("expect %d", len(ev.Pods)))
	}
	return nil
}

func (s *script) Decide(sched.Time) []sched.Decision {
	d := s.next
	s.next = nil
	return d
}

func (s *script) More() bool         { return false }
func (s *script) Wake() sched.Time   { return 0 }
func (s *script) Usage() []sched.Use { return nil }
func (s *script) Waiting() []string  { return []string{s.ex.Workload} }

func (s *script) Brief(id string) (sched.Reason, string, bool) {
	return s.ex.Reason, s.ex.Message, id == s.ex.Workload
}

// stage is a loop without an API server's watches: the test shows it objects.
type stage struct {
	*testing.T
	*loop
	engine *script
	client *fake.Clientset
	clock  *clocktesting.FakeClock
}

// newStage returns a stage with a project, whose engine reads from a script.
func newStage(t *testing.T) *stage {
	t.Helper()
	st := emptyStage(t, time.Unix(1_800_000_000, 0))
	st.engine = &script{}
	st.loop.engine = st.engine
	st.show(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}})
	st.show(&v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: "ml"}})
	st.board = status.NewBoard() // statuses are another package's story
	return st
}

// emptyStage returns a stage with the engine that a scheduler has.
func emptyStage(t *testing.T, now time.Time) *stage {
	t.Helper()
	client := fake.NewClientset()
	clock := clocktesting.NewFakeClock(now)
	s := &Scheduler{
		opts:    Options{Clock: clock, Logger: slog.New(slog.DiscardHandler), Workers: 4},
		log:     slog.New(slog.DiscardHandler),
		clients: clients{kube: client},
		metrics: metrics.New(),
	}
	s.health.clock = clock
	l, err := newLoop(s, watch.New(s.log), watch.NewOwners(s.log, clock, client.Discovery(), nil))
	if err != nil {
		t.Fatal(err)
	}
	st := &stage{T: t, loop: l, client: client, clock: clock}
	st.client.PrependReactor("create", "pods", st.bindPod)
	return st
}

var podsResource = corev1.SchemeGroupVersion.WithResource("pods")

// bindPod lets the fake API server bind pods.
func (s *stage) bindPod(a clientgotesting.Action) (bool, runtime.Object, error) {
	if a.GetSubresource() != "binding" {
		return false, nil, nil
	}
	b := a.(clientgotesting.CreateAction).GetObject().(*corev1.Binding)
	obj, err := s.client.Tracker().Get(podsResource, b.Namespace, b.Name)
	if err != nil {
		return true, nil, err
	}
	pod := obj.(*corev1.Pod).DeepCopy()
	pod.Spec.NodeName = b.Target.Name
	return true, b, s.client.Tracker().Update(podsResource, pod, b.Namespace)
}

// show lets the loop see objects as they are in the test's hands.
func (s *stage) show(objects ...runtime.Object) {
	for _, o := range objects {
		s.take(&watch.Change{Object: o})
	}
}

// store puts objects into the API server without anybody seeing them.
func (s *stage) store(objects ...runtime.Object) {
	s.Helper()
	for _, o := range objects {
		if err := s.client.Tracker().Add(o.DeepCopyObject()); err != nil {
			s.Fatal(err)
		}
	}
}

// play lets the engine decide and the workers work until they have no more to
// do.
func (s *stage) play(decisions ...sched.Decision) {
	s.Helper()
	s.engine.next = decisions
	s.engine.told = nil
	s.decide(s.Context())
	s.work()
}

func (s *stage) work() {
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan struct{})
	hands := s.crew
	go func() { hands.Run(ctx); close(done) }()
	for hands.Load(crew.Bind)+hands.Load(crew.Evict)+hands.Load(crew.Tell) > 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	s.crew = crew.New(4)
	s.absorb()
}

// pass lets time go by.
func (s *stage) pass(d time.Duration) {
	s.clock.Step(d)
	s.tick()
	s.work()
}

func (s *stage) expect(told ...string) {
	s.Helper()
	if !slices.Equal(s.engine.told, told) {
		s.Errorf("the engine was told %q, want %q", s.engine.told, told)
	}
	s.engine.told = nil
}

func (s *stage) bindings() (n int) {
	for _, a := range s.client.Actions() {
		if a.GetVerb() == "create" && a.GetSubresource() == "binding" {
			n++
		}
	}
	return n
}

// Objects of the tests.

func countNode() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Status: corev1.NodeStatus{
		Allocatable: corev1.ResourceList{ask.WholeGPU: resource.MustParse("8"), "pods": resource.MustParse("110")}}}
}

func exactNode() (*corev1.Node, *resourcev1.ResourceSlice) {
	device := sched.Device{Name: "gpu-0", Model: "A100", MemoryMiB: 80_000, ComputeMilli: 1000}
	n := countNode()
	n.Status.Allocatable = corev1.ResourceList{"pods": resource.MustParse("110")}
	return n, claim.Slices("n1", "", 1, []sched.Device{device})[0]
}

func wholePod() *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "p", UID: "1"},
		Spec: corev1.PodSpec{SchedulerName: ask.SchedulerName, Containers: []corev1.Container{{Name: "main"}}}}
	p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{ask.WholeGPU: resource.MustParse("1")}
	return p
}

// halfPod returns a pod that asks for half a GPU, and its claim.
func halfPod() (*corev1.Pod, *resourcev1.ResourceClaim) {
	p := wholePod()
	p.Spec.Containers[0].Resources.Limits = nil
	p.Annotations = map[string]string{ask.GPUFraction: "0.5"}
	a, err := ask.FromPod(p, nil)
	if err != nil {
		panic(err)
	}
	shape := ask.ShapeOf(a)
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: ask.ClaimRef,
		ResourceClaimTemplateName: ptr.To(shape.TemplateName())}}
	c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "p-gpu", UID: "2"},
		Spec: claim.Spec(shape)}
	return p, c
}

// naming returns the pod once the controller has made its claim.
func naming(p *corev1.Pod) *corev1.Pod {
	p = p.DeepCopy()
	p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: ask.ClaimRef,
		ResourceClaimName: ptr.To("p-gpu")}}
	return p
}

func boundTo(p *corev1.Pod, node string) *corev1.Pod {
	p = p.DeepCopy()
	p.Spec.NodeName = node
	return p
}

var half = sched.Share{
	Device: "gpu-0", MemoryMiB: 40_000, ComputeMilli: 500, LimitMemoryMiB: 40_000, LimitComputeMilli: 500,
}

func startAt(shares ...sched.Share) sched.Decision {
	return sched.Decision{Action: sched.Start, Pod: "ml/p", Workload: "ml/pod/p",
		Grant: sched.Grant{Node: "n1", Devices: shares}}
}
