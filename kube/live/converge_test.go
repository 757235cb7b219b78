package live_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/live"
	"github.com/weir-gpu/weir/sched"
)

// jumping is the real time, moved on or back by a test.
type jumping struct {
	clock.RealClock
	by atomic.Int64
}

func (c *jumping) Now() time.Time                  { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *jumping) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// A clock that jumps, forward or back, stops nothing that runs, and what
// arrives later starts.
func TestClockJumps(t *testing.T) {
	w := newWorld(t, append(nodes(1, 4, true), nodes(1, 2, false)...)...)
	w.project("owner", "3")
	w.project("borrower", "0")
	c := &jumping{}
	s, _ := w.scheduler(func(o *live.Options) { o.Clock = c })
	running := []string{"owner/quota", "borrower/surplus", "borrower/half"}
	w.submit(pod("owner", "quota", 1), pod("borrower", "surplus", 2, ask.Preemptible+"=true"),
		w.share(pod("borrower", "half", 0, ask.GPUFraction+"=0.5", ask.Preemptible+"=true", ask.MinRuntime+"=10m")))
	for _, id := range running {
		w.bound(id)
	}
	for i, jump := range []time.Duration{time.Hour, -3 * time.Hour, 400 * 24 * time.Hour, -time.Minute} {
		c.by.Add(int64(jump))
		name := fmt.Sprintf("after-%d", i)
		w.submit(pod("owner", name, 0))
		w.bound("owner/" + name)
		running = append(running, "owner/"+name)
		time.Sleep(2 * beat)
	}
	for _, id := range running {
		if !w.exists(id) {
			t.Errorf("%s was stopped", id)
		}
	}
	if !s.Ready() {
		t.Error("the scheduler is not ready any more")
	}
	w.noOverGrant()
}

// beat is longer than the loop takes to notice that time went by.
const beat = 300 * time.Millisecond

// claimOf returns the claim by which a pod holds its devices.
func (w *world) claimOf(id string) *resourcev1.ResourceClaim {
	w.Helper()
	p := w.get(id)
	if len(p.Status.ResourceClaimStatuses) == 0 {
		w.Fatalf("the status of %s names no claim", id)
	}
	c, err := w.kube.ResourceV1().ResourceClaims(p.Namespace).
		Get(w.Context(), *p.Status.ResourceClaimStatuses[0].ResourceClaimName, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// edit changes the status of a claim, as a person would.
func (w *world) edit(c *resourcev1.ResourceClaim, change func(*resourcev1.ResourceClaim)) {
	w.Helper()
	claims := w.kube.ResourceV1().ResourceClaims(c.Namespace)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		now, err := claims.Get(w.Context(), c.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(now)
		_, err = claims.UpdateStatus(w.Context(), now, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
}

// Whoever takes a claim's reservation or allocation away by hand, or makes one,
// does not get a device granted twice.
func TestClaimsEditedByHand(t *testing.T) {
	w := newWorld(t, nodes(1, 2, false)...)
	w.project("ml", "8")
	w.scheduler()
	half := func(name string) *corev1.Pod { return w.share(pod("ml", name, 0, ask.GPUFraction+"=0.5")) }
	w.submit(half("a"))
	w.bound("ml/a")

	// Somebody else takes half of the other device, by a claim of his own.
	foreign := w.claimOf("ml/a").DeepCopy()
	allocation := foreign.Status.Allocation.DeepCopy()
	foreign.ObjectMeta = metav1.ObjectMeta{Namespace: "ml", Name: "by-hand"}
	foreign.Status = resourcev1.ResourceClaimStatus{}
	claims := w.kube.ResourceV1().ResourceClaims("ml")
	foreign = must(claims.Create(t.Context(), foreign, metav1.CreateOptions{}))
	w.submit(pod("ml", "holder", 0))
	w.bound("ml/holder")
	other := "gpu-1"
	if allocation.Devices.Results[0].Device == other {
		other = "gpu-0"
	}
	w.edit(foreign, func(c *resourcev1.ResourceClaim) {
		c.Status.Allocation = allocation.DeepCopy()
		c.Status.Allocation.Devices.Results[0].Device = other
		c.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{
			{Resource: "pods", Name: "holder", UID: w.get("ml/holder").UID}}
	})
	time.Sleep(beat)
	w.submit(half("b"), half("c"))
	w.bound("ml/b")
	w.bound("ml/c")
	w.submit(half("d"))
	w.waits("ml/d", string(sched.ReasonNoDevices))
	w.noOverGrant()

	// The reservation of a pod that runs is taken away, or is given to two: its
	// device is in use all the same.
	w.edit(w.claimOf("ml/a"), func(c *resourcev1.ResourceClaim) { c.Status.ReservedFor = nil })
	w.edit(w.claimOf("ml/b"), func(c *resourcev1.ResourceClaim) {
		c.Status.ReservedFor = append(c.Status.ReservedFor, foreign.Status.ReservedFor...)
		c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{
			Resource: "pods", Name: "nobody", UID: "none"})
	})
	time.Sleep(2 * beat)
	for _, id := range []string{"ml/a", "ml/b"} {
		if w.claimOf(id).Status.Allocation == nil {
			t.Errorf("the claim of %s, which runs, was freed", id)
		}
	}
	if w.get("ml/d").Spec.NodeName != "" {
		t.Error("ml/d got a device that is in use")
	}

	// What nobody uses any more is free.
	w.edit(foreign, func(c *resourcev1.ResourceClaim) { c.Status.Allocation, c.Status.ReservedFor = nil, nil })
	w.bound("ml/d")
	w.noOverGrant()
	w.remove("ml/a")
	w.submit(half("e"))
	w.bound("ml/e")
	w.noOverGrant()
}

// A device that fails takes nothing new and loses nothing; one that works
// again is used again.
func TestDevicesThatFail(t *testing.T) {
	w := newWorld(t, append(nodes(1, 1, true), nodes(1, 2, false)...)...)
	w.project("ml", "3")
	w.scheduler()
	ctx := t.Context()
	exact := func(name string) *corev1.Pod {
		p := pod("ml", name, 1)
		p.Spec.NodeSelector = map[string]string{"kubernetes.io/hostname": "dra-sim-0"}
		return p
	}
	w.submit(exact("first"))
	w.bound("ml/first")
	for _, device := range []string{"gpu-0", "gpu-1"} {
		if err := w.fleet.SetDevice(ctx, "dra-sim-0", device, false); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(beat)
	w.submit(exact("second"))
	if why := w.waits("ml/second", string(sched.ReasonNoDevices)); why == "" {
		t.Error("no reason is told")
	}
	if !w.exists("ml/first") {
		t.Error("the pod on a device that takes no new pods was stopped")
	}
	for _, device := range []string{"gpu-0", "gpu-1"} {
		if err := w.fleet.SetDevice(ctx, "dra-sim-0", device, true); err != nil {
			t.Fatal(err)
		}
	}
	w.bound("ml/second")

	counted := pod("ml", "third", 1)
	if err := w.fleet.FailGPUs(ctx, "sim-0", 1); err != nil {
		t.Fatal(err)
	}
	time.Sleep(beat)
	w.submit(counted)
	w.waits("ml/third", string(sched.ReasonNoDevices))
	if err := w.fleet.FailGPUs(ctx, "sim-0", 0); err != nil {
		t.Fatal(err)
	}
	w.bound("ml/third")
	w.noOverGrant()
}

// A device that is lost takes its pods with it: they are told why, and what is
// made in their place runs elsewhere. Pods on other devices stay.
func TestDevicesThatAreLost(t *testing.T) {
	w := newWorld(t, nodes(2, 2, false)...)
	w.project("ml", "4")
	w.scheduler()
	ctx := t.Context()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "train", Namespace: "ml"}, Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{Spec: pod("ml", "train", 1).Spec}}}
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	must(w.kube.BatchV1().Jobs("ml").Create(ctx, job, metav1.CreateOptions{}))
	of := func() []corev1.Pod {
		return must(w.kube.CoreV1().Pods("ml").List(ctx, metav1.ListOptions{LabelSelector: "job-name=train"})).Items
	}
	running := func(not types.UID) (p corev1.Pod) {
		t.Helper()
		w.eventually("a pod of the job runs", func() error {
			for _, p = range of() {
				if p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil && p.UID != not {
					return nil
				}
			}
			return fmt.Errorf("%d pods, the last of them %+v", len(of()), p.Status)
		})
		return p
	}
	first := running("")
	other := pod("ml", "other", 1)
	other.Spec.NodeSelector = map[string]string{"kubernetes.io/hostname": first.Spec.NodeName}
	w.submit(other)
	w.bound("ml/other")
	held := func(p *corev1.Pod) (device string) {
		for _, c := range must(w.kube.ResourceV1().ResourceClaims("ml").List(ctx, metav1.ListOptions{})).Items {
			if len(c.Status.ReservedFor) > 0 && c.Status.ReservedFor[0].UID == p.UID {
				device = c.Status.Allocation.Devices.Results[0].Device
			}
		}
		return device
	}
	lost := held(&first)
	if err := w.fleet.LoseDevice(ctx, first.Spec.NodeName, lost); err != nil {
		t.Fatal(err)
	}
	next := running(first.UID)
	if next.Spec.NodeName == first.Spec.NodeName && held(&next) == lost {
		t.Errorf("it runs on device %s of %s again, which is lost", lost, first.Spec.NodeName)
	}
	if !w.exists("ml/other") || w.get("ml/other").DeletionTimestamp != nil {
		t.Error("a pod on another device was stopped")
	}
	w.toldOf("Pod", "Stopped by Weir: its GPU "+lost+" of node "+first.Spec.NodeName+" is lost.")
	w.toldOf("Job", "Stopped by Weir: its GPU "+lost+" of node "+first.Spec.NodeName+" is lost.")

	// Kubernetes itself stops those with a claim of their own.
	w.submit(w.share(pod("ml", "part", 0, ask.GPUFraction+"=0.5")))
	on := w.bound("ml/part")
	part := w.get("ml/part")
	lost = held(part)
	if err := w.fleet.LoseDevice(ctx, on, lost); err != nil {
		t.Fatal(err)
	}
	w.toldOf("Pod", "Stopped by Kubernetes: its GPU "+lost+" of node "+on+" is lost.")
	w.eventually("it is gone", func() error {
		if w.exists("ml/part") {
			return errors.New("it is there")
		}
		return nil
	})
	w.noOverGrant()
}

// toldOf waits for an event about an object of a kind.
func (w *world) toldOf(kind, want string) {
	w.Helper()
	w.eventually("the "+kind+" is told why", func() error {
		for _, e := range must(w.kube.EventsV1().Events("ml").List(w.Context(), metav1.ListOptions{})).Items {
			if e.Reason == "DeviceLost" && e.Regarding.Kind == kind && strings.Contains(e.Note, want) {
				return nil
			}
		}
		return fmt.Errorf("no event says %q", want)
	})
}

// A node that falls silent takes nothing new; what is deleted with its Node
// object starts elsewhere, and a node that comes back under its old name
// starts with nothing granted.
func TestNodesThatVanishAndComeBack(t *testing.T) {
	w := newWorld(t, nodes(2, 2, false)...)
	w.project("ml", "8")
	w.scheduler()
	ctx := t.Context()
	w.submit(pod("ml", "a", 2))
	lost := w.bound("ml/a")
	if err := w.fleet.StopNode(ctx, lost); err != nil {
		t.Fatal(err)
	}
	w.eventually(lost+" is tainted", func() error {
		n := must(w.kube.CoreV1().Nodes().Get(ctx, lost, metav1.GetOptions{}))
		if len(n.Spec.Taints) == 0 {
			return fmt.Errorf("it is %v", n.Status.Conditions)
		}
		return nil
	})
	time.Sleep(beat)
	w.submit(pod("ml", "b", 2), pod("ml", "c", 1))
	if node := w.bound("ml/b"); node == lost {
		t.Errorf("a pod is bound to %s, which is silent", node)
	}
	w.waits("ml/c", string(sched.ReasonNoDevices))

	// The silent node is given up, and with it the pod.
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	if err := w.kube.CoreV1().Nodes().Delete(ctx, lost, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.kube.CoreV1().Pods("ml").Delete(ctx, "a", now); err != nil {
		t.Fatal(err)
	}
	time.Sleep(beat)
	w.comeBack(ctx, lost)
	if node := w.bound("ml/c"); node != lost {
		t.Errorf("bound to %s, and only %s has room", node, lost)
	}
	w.submit(pod("ml", "d", 1))
	w.bound("ml/d")
	w.noOverGrant()
}

// comeBack registers all nodes of the world anew.
func (w *world) comeBack(ctx context.Context, node string) {
	w.Helper()
	if err := w.fleet.Register(ctx); err != nil {
		w.Fatal(err)
	}
	if err := w.fleet.StartNode(ctx, node); err != nil && !strings.Contains(err.Error(), "not found") {
		w.Fatal(err)
	}
}
