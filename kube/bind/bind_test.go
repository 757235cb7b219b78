package bind_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clientgotesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/weir-gpu/weir/kube/bind"
)

var pods = schema.GroupResource{Resource: "pods"}

// errLost is an answer that never came.
var errLost = errors.New("connection reset by peer")

// hurried is a clock on which waiting takes no time.
type hurried struct{ clock.RealClock }

func (hurried) After(time.Duration) <-chan time.Time {
	c := make(chan time.Time, 1)
	c <- time.Time{}
	return c
}

// server is an API server with one waiting pod and its claim.
type server struct {
	*fake.Clientset
	binds  []error // answers to bindings, in turn; the last one stays
	blind  bool    // bindings take place though their answer is an error
	writes map[string]int
}

func newServer() *server {
	s := &server{writes: map[string]int{}}
	s.Clientset = fake.NewClientset(
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "p", UID: "1"}},
		&resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "c", UID: "2"}},
	)
	s.PrependReactor("create", "pods", func(a clientgotesting.Action) (bool, runtime.Object, error) {
		if a.GetSubresource() != "binding" {
			return false, nil, nil
		}
		binding := a.(clientgotesting.CreateAction).GetObject().(*corev1.Binding)
		var err error
		if len(s.binds) > 0 {
			if err = s.binds[0]; len(s.binds) > 1 {
				s.binds = s.binds[1:]
			}
		}
		if err == nil || s.blind {
			s.place(binding.Target.Name)
		}
		return true, binding, err
	})
	return s
}

// place binds the pod behind the binder's back.
func (s *server) place(node string) {
	obj, err := s.Tracker().Get(corev1.SchemeGroupVersion.WithResource("pods"), "ml", "p")
	if err != nil {
		return
	}
	pod := obj.(*corev1.Pod).DeepCopy()
	pod.Spec.NodeName = node
	_ = s.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod, "ml")
}

func (s *server) remove() {
	_ = s.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "ml", "p")
}

func (s *server) claim(t *testing.T) *resourcev1.ResourceClaim {
	t.Helper()
	c, err := s.ResourceV1().ResourceClaims("ml").Get(t.Context(), "c", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *server) bind(ctx context.Context, o *bind.Order) error {
	return bind.New(s, hurried{}, func(resource, verb string) { s.writes[verb+" "+resource]++ }).Bind(ctx, o)
}

func order() *bind.Order { return &bind.Order{Namespace: "ml", Name: "p", UID: "1", Node: "n1"} }

// allocation is one device, by name.
func allocation(device string) *resourcev1.AllocationResult {
	return &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{
		Results: []resourcev1.DeviceRequestAllocationResult{{Request: "gpu", Driver: "d", Pool: "n1", Device: device}},
	}}
}

func TestBindingEndsWithAKnownResult(t *testing.T) {
	conflict := apierrors.NewConflict(pods, "p", errors.New("already assigned"))
	overload := apierrors.NewTooManyRequestsError("later")
	denied := apierrors.NewForbidden(pods, "p", errors.New("a webhook says no"))
	for name, c := range map[string]struct {
		given func(*server)
		want  string // kind of result
		binds int
	}{
		"it works":                       {func(*server) {}, "bound", 1},
		"the answer is lost":             {func(s *server) { s.binds, s.blind = []error{errLost}, true }, "bound", 1},
		"the request is lost":            {func(s *server) { s.binds = []error{errLost, nil} }, "bound", 2},
		"the server is busy for a while": {func(s *server) { s.binds = []error{overload, overload, nil} }, "bound", 3},
		"the server is busy for long":    {func(s *server) { s.binds = []error{overload} }, "refused", 6},
		"somebody else was faster":       {func(s *server) { s.binds = []error{conflict}; s.place("n2") }, "elsewhere", 1},
		"we were faster ourselves":       {func(s *server) { s.binds = []error{conflict}; s.place("n1") }, "bound", 1},
		"a webhook forbids it":           {func(s *server) { s.binds = []error{denied} }, "refused", 1},
		"the pod is gone": {func(s *server) {
			s.binds = []error{apierrors.NewNotFound(pods, "p")}
			s.remove()
		}, "gone", 1},
		"the answer is lost and the pod is gone": {func(s *server) { s.binds = []error{errLost}; s.remove() }, "gone", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			c.given(s)
			if got := kind(s.bind(t.Context(), order())); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if got := s.writes["create pods/binding"]; got != c.binds {
				t.Errorf("%d bindings were posted, want %d", got, c.binds)
			}
		})
	}
}

func kind(err error) string {
	elsewhere, refused := (*bind.ElsewhereError)(nil), (*bind.RefusedError)(nil)
	switch {
	case err == nil:
		return "bound"
	case errors.Is(err, bind.ErrGone):
		return "gone"
	case errors.As(err, &elsewhere):
		return "elsewhere"
	case errors.As(err, &refused):
		return "refused"
	}
	return fmt.Sprintf("unknown (%v)", err)
}

func TestDevicesAreWrittenOnce(t *testing.T) {
	s := newServer()
	o := order()
	o.Claims = []bind.Claim{{Known: s.claim(t), Allocation: allocation("gpu-0")}}
	if err := s.bind(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	c := s.claim(t)
	if c.Status.Allocation == nil || len(c.Status.ReservedFor) != 1 || c.Status.ReservedFor[0].UID != "1" {
		t.Errorf("the claim's status is %+v", c.Status)
	}
	want := map[string]int{"create pods/binding": 1, "update resourceclaims/status": 1}
	if !maps.Equal(s.writes, want) {
		t.Errorf("writes %v, want %v", s.writes, want)
	}
	// The same again, as after a restart: nothing is left to write.
	o = order()
	o.Claims, o.Verify = []bind.Claim{{Known: c, Allocation: allocation("gpu-0")}}, true
	if err := s.bind(t.Context(), o); err != nil || s.writes["update resourceclaims/status"] != 1 {
		t.Errorf("once more: %v, writes %v", err, s.writes)
	}
}

func TestRefusedPodsGiveTheirDevicesBack(t *testing.T) {
	s := newServer()
	s.binds = []error{apierrors.NewForbidden(pods, "p", errors.New("no"))}
	o := order()
	o.Claims = []bind.Claim{{Known: s.claim(t), Allocation: allocation("gpu-0")}}
	if got := kind(s.bind(t.Context(), o)); got != "refused" {
		t.Errorf("%s, want refused", got)
	}
	if c := s.claim(t); c.Status.Allocation != nil || len(c.Status.ReservedFor) != 0 {
		t.Errorf("the claim is still allocated: %+v", c.Status)
	}
}

func TestClaimsOfOthersAreLeftAlone(t *testing.T) {
	s := newServer()
	known := s.claim(t)
	taken := known.DeepCopy()
	taken.Status.Allocation = allocation("gpu-7")
	taken.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: "q", UID: "9"}}
	if _, err := s.ResourceV1().ResourceClaims("ml").UpdateStatus(t.Context(), taken, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "resourceclaims"}, "c", errors.New("changed"))
	first := true
	s.PrependReactor("update", "resourceclaims", func(clientgotesting.Action) (bool, runtime.Object, error) {
		defer func() { first = false }()
		return first, nil, conflict // the fake API server does not look at versions itself
	})
	o := order()
	o.Claims = []bind.Claim{{Known: known, Allocation: allocation("gpu-0")}}
	if got := kind(s.bind(t.Context(), o)); got != "refused" {
		t.Errorf("%s, want refused", got)
	}
	if c := s.claim(t); c.Status.Allocation == nil || len(c.Status.ReservedFor) != 1 {
		t.Errorf("the other pod lost its claim: %+v", c.Status)
	}
	if s.writes["create pods/binding"] != 0 {
		t.Error("the pod was bound without its devices")
	}
}

func TestInterruptedStartIsNotFinishedWithoutDevices(t *testing.T) {
	s := newServer()
	o := order()
	stale := s.claim(t).DeepCopy()
	stale.Status.Allocation = allocation("gpu-0")
	o.Claims, o.Verify = []bind.Claim{{Known: stale, Allocation: allocation("gpu-0")}}, true
	if got := kind(s.bind(t.Context(), o)); got != "refused" {
		t.Errorf("%s, want refused", got)
	}
}

func TestExtendedResourcesGetAClaimOnce(t *testing.T) {
	s := newServer()
	extended := func() *bind.Order {
		o := order()
		o.Extended = &bind.Extended{
			Claim: &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "p-gpus", UID: "3",
				OwnerReferences: []metav1.OwnerReference{{Kind: "Pod", Name: "p", UID: "1", Controller: ptr.To(true)}}}},
			Allocation: func(*resourcev1.ResourceClaim) *resourcev1.AllocationResult { return allocation("gpu-1") },
			Mappings:   []corev1.ContainerExtendedResourceRequest{{ContainerName: "main", RequestName: "r"}},
		}
		return o
	}
	for round := range 2 {
		if err := s.bind(t.Context(), extended()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	list, err := s.ResourceV1().ResourceClaims("ml").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 2 {
		t.Fatalf("%d claims, want 2 (%v)", len(list.Items), err)
	}
	pod, err := s.CoreV1().Pods("ml").Get(t.Context(), "p", metav1.GetOptions{})
	if err != nil || pod.Status.ExtendedResourceClaimStatus == nil ||
		pod.Status.ExtendedResourceClaimStatus.ResourceClaimName != "p-gpus" {
		t.Errorf("the pod's status names %+v (%v)", pod.Status.ExtendedResourceClaimStatus, err)
	}
	if s.writes["update resourceclaims/status"] != 1 {
		t.Errorf("writes %v", s.writes)
	}
}

func TestVolumesComeFirst(t *testing.T) {
	s := newServer()
	o := order()
	o.Prepare = func(context.Context) error { return errors.New("no disk") }
	if got := kind(s.bind(t.Context(), o)); got != "refused" || len(s.writes) != 0 {
		t.Errorf("%s after writes %v, want refused after none", got, s.writes)
	}
}

func TestStoppedSchedulerKnowsNothing(t *testing.T) {
	s := newServer()
	s.binds = []error{errLost}
	ctx, cancel := context.WithCancel(t.Context())
	s.PrependReactor("get", "pods", func(clientgotesting.Action) (bool, runtime.Object, error) {
		cancel()
		return true, nil, errLost
	})
	never := bind.New(s, clock.RealClock{}, func(string, string) {})
	if err := never.Bind(ctx, order()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}
