package live

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgotesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/sched"
)

func TestLateNewsDoesNotUndoAStart(t *testing.T) {
	s := newStage(t)
	p := wholePod()
	s.store(p)
	s.show(countNode(), p)
	s.play(startAt(sched.Share{Device: "gpu-0"}))
	if s.bindings() != 1 {
		t.Fatalf("%d bindings", s.bindings())
	}
	relabelled := p.DeepCopy()
	relabelled.Labels = map[string]string{"a": "b"}
	s.show(relabelled) // from before the binding
	s.expect()
	s.show(boundTo(relabelled, "n1"))
	s.expect("granted ml/p 1")
	if len(s.flights) != 0 {
		t.Error("the start is not over")
	}
}

func TestNodeIsSeenBeforeTheDevices(t *testing.T) {
	s := newStage(t)
	p, c := halfPod()
	p = naming(p)
	node, slice := exactNode()
	s.store(p, c)
	s.show(node, slice, c, p)
	s.play(startAt(half))
	s.show(boundTo(p, "n1"))
	s.expect() // a grant without devices would free them for others
	if len(s.flights) != 1 {
		t.Fatal("the start is over before the devices were seen")
	}
	written, err := s.client.ResourceV1().ResourceClaims("ml").Get(t.Context(), "p-gpu", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.show(written)
	s.expect("granted ml/p 1")
	if len(s.flights) != 0 {
		t.Error("the start is not over")
	}
}

func TestPodToldOfAnewKeepsItsPlace(t *testing.T) {
	s := newStage(t)
	p := wholePod()
	s.store(p)
	s.show(countNode(), p)
	s.play(startAt(sched.Share{Device: "gpu-0"}))
	owned := p.DeepCopy() // a Job adopts it: it is of another workload now
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "j", UID: "7",
		Controller: ptr.To(true)}}
	job := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "batch/v1", "kind": "Job",
		"metadata": map[string]any{"namespace": "ml", "name": "j"}, "spec": map[string]any{"parallelism": int64(1)}}}
	s.show(job, owned)
	s.expect("gone ml/p", "set ml/p", "granted ml/p 1")
}

func TestClaimIsSeenAfterThePodNamesIt(t *testing.T) {
	s := newStage(t)
	p, c := halfPod()
	node, slice := exactNode()
	s.store(naming(p), c)
	s.show(node, slice, p)
	s.play(startAt(half))
	s.show(naming(p))
	s.work()
	if s.bindings() != 0 {
		t.Fatal("bound without a claim")
	}
	s.show(c)
	s.work()
	if s.bindings() != 1 {
		t.Error("not bound though the claim is there")
	}
}

func TestMissingClaimIsToldOf(t *testing.T) {
	s := newStage(t)
	p, _ := halfPod()
	node, slice := exactNode()
	s.store(p)
	s.show(node, slice, p)
	s.play(startAt(half))
	s.pass(claimPatience + time.Second)
	s.expect()
	s.pass(2 * time.Second)
	s.expect("failed ml/p")
	if len(s.awaited)+len(s.flights) != 0 {
		t.Error("something is still waited for")
	}
}

func TestRefusedBindingRests(t *testing.T) {
	s := newStage(t)
	p := wholePod()
	s.store(p)
	s.show(countNode(), p)
	s.client.PrependReactor("create", "pods", func(clientgotesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New("a webhook"))
	})
	s.play(startAt(sched.Share{Device: "gpu-0"}))
	s.expect()
	s.pass(500 * time.Millisecond)
	s.expect()
	s.pass(600 * time.Millisecond)
	s.expect("failed ml/p")
	s.play(startAt(sched.Share{Device: "gpu-0"}))
	s.pass(1100 * time.Millisecond)
	s.expect() // the second rest is longer
	s.pass(1100 * time.Millisecond)
	s.expect("failed ml/p")
}

func TestInterruptedStartIsFinished(t *testing.T) {
	s := newStage(t)
	p, c := halfPod()
	p = naming(p)
	granted, err := claim.Grant(p, []*resourcev1.ResourceClaim{c}, sched.Grant{Node: "n1", Devices: []sched.Share{half}})
	if err != nil {
		t.Fatal(err)
	}
	node, slice := exactNode()
	s.store(p, granted[0])
	s.show(node, slice, p, granted[0])
	s.work()
	if s.bindings() != 1 {
		t.Errorf("%d bindings, want 1", s.bindings())
	}
}

func TestPodMadeAnewIsNotTheOldOne(t *testing.T) {
	s := newStage(t)
	p := wholePod()
	s.show(countNode(), p) // the API server has no such pod any more
	s.play(startAt(sched.Share{Device: "gpu-0"}))
	s.expect()
	anew := p.DeepCopy()
	anew.UID = "9"
	s.take(&watch.Change{Object: p, Gone: true})
	s.show(anew)
	s.expect("gone ml/p", "set ml/p")
	if len(s.flights) != 0 {
		t.Error("the old pod's start is not over")
	}
	s.store(anew)
	s.play(startAt(sched.Share{Device: "gpu-0"}))
	if s.bindings() != 2 {
		t.Errorf("%d bindings, want 2", s.bindings())
	}
}

func TestBudgetForbidsAMove(t *testing.T) {
	s := newStage(t)
	p := boundTo(wholePod(), "n1")
	s.store(p)
	s.show(countNode(), p)
	s.client.PrependReactor("create", "pods", func(a clientgotesting.Action) (bool, runtime.Object, error) {
		err := apierrors.NewTooManyRequests("not now", 0)
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause}}
		return a.GetSubresource() == "eviction", nil, err
	})
	move := startAt(sched.Share{Device: "gpu-1"})
	move.Action, move.Rule = sched.Move, sched.Consolidate
	s.play(move)
	s.expect()
	s.pass(budgetRest - time.Second)
	s.expect()
	s.pass(2 * time.Second)
	s.expect("stays ml/p")
}

func TestVictimThatHasNotStartedStaysWaiting(t *testing.T) {
	s := newStage(t)
	p, _ := halfPod()
	node, slice := exactNode()
	s.store(p)
	s.show(node, slice, p)
	s.play(startAt(half))
	stop := startAt()
	stop.Action, stop.Rule = sched.Evict, sched.Reclaim
	s.play(stop)
	s.expect("stays ml/p", "failed ml/p")
	for _, a := range s.client.Actions() {
		if a.GetVerb() == "delete" {
			t.Error("it was deleted")
		}
	}
}

func TestPodsAreToldOnceAndNotAtOnce(t *testing.T) {
	s := newStage(t)
	p := wholePod()
	s.store(p)
	s.show(countNode(), p)
	s.engine.ex = sched.Explanation{Workload: "ml/pod/p", Reason: sched.ReasonOverQuota, Message: "first"}
	patches := func() (n int) {
		for _, a := range s.client.Actions() {
			if a.GetVerb() == "patch" {
				n++
			}
		}
		return n
	}
	steps := []struct {
		wait    time.Duration
		reason  sched.Reason
		message string
		patches int
		what    string
	}{
		{time.Second, sched.ReasonOverQuota, "first", 0, "a pod that may start yet"},
		{patience, sched.ReasonOverQuota, "first", 1, "a pod that waits"},
		{5 * time.Second, sched.ReasonOverQuota, "second", 1, "another wording a moment later"},
		{sameReason, sched.ReasonOverQuota, "third", 2, "another wording a while later"},
		{2 * time.Second, sched.ReasonNoDevices, "third", 3, "another reason"},
		{time.Hour, sched.ReasonNoDevices, "third", 3, "nothing new"},
	}
	for _, step := range steps {
		s.engine.ex.Reason, s.engine.ex.Message = step.reason, step.message
		s.changes++ // something happened, else nobody looks
		s.pass(step.wait)
		if got := patches(); got != step.patches {
			t.Errorf("%s: %d patches, want %d", step.what, got, step.patches)
		}
	}
}

func TestLostLeadStartsNothing(t *testing.T) {
	s := newStage(t)
	p := wholePod()
	s.store(p)
	s.show(countNode(), p)
	s.engine.next = []sched.Decision{startAt(sched.Share{Device: "gpu-0"})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.decide(ctx)
	s.work()
	if s.bindings() != 0 {
		t.Error("a pod was bound without the lead")
	}
}

func TestClaimsThatNobodyHoldsAreFreed(t *testing.T) {
	s := newStage(t)
	_, c := halfPod()
	node, slice := exactNode()
	c.Status.Allocation = claim.Allocation(c, "n1", []sched.Share{half})
	s.store(c)
	s.show(node, slice, c)
	s.work()
	free, err := s.client.ResourceV1().ResourceClaims("ml").Get(t.Context(), "p-gpu", metav1.GetOptions{})
	if err != nil || free.Status.Allocation != nil {
		t.Errorf("still allocated: %+v, %v", free.Status.Allocation, err)
	}
}

func TestPodsThatKeepApartGoToDifferentNodes(t *testing.T) {
	s := newStage(t)
	s.loop.engine = sched.New(sched.Config{Fitness: s.book})
	s.show(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ml"}},
		&v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: "ml"}, Spec: v1alpha1.ProjectSpec{
			Pools: []v1alpha1.PoolShare{{Name: "default", Quota: v1alpha1.Amount{GPU: ptr.To(resource.MustParse("24"))}}}}})
	for _, name := range []string{"n1", "n2", "n3"} {
		n := countNode()
		n.Name, n.Labels = name, map[string]string{corev1.LabelHostname: name}
		s.show(n)
	}
	for i := range 4 {
		p := wholePod()
		p.Name, p.UID, p.Labels = fmt.Sprintf("p%d", i), types.UID(fmt.Sprint(i)), map[string]string{"app": "db"}
		p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				TopologyKey:   corev1.LabelHostname,
				LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels},
			}}}}
		s.store(p)
		s.show(p)
		if i%2 == 1 { // two at a time
			s.decide(t.Context())
			s.work()
		}
	}
	places := map[string]bool{}
	for _, f := range s.flights {
		places[f.decision.Grant.Node] = true
	}
	if len(s.flights) != 3 || len(places) != 3 {
		t.Errorf("%d pods started on %d nodes, want 3 on 3", len(s.flights), len(places))
	}
}
