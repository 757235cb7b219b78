package live_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/kube/live"
	"github.com/weir-gpu/weir/sched"
)

func TestOnePodFromApplyToBound(t *testing.T) {
	w := newWorld(t, nodes(1, 8, true)...)
	w.project("ml", "8")
	s, _ := w.scheduler()
	w.submit(pod("ml", "train", 1))
	if node := w.bound("ml/train"); node != "sim-0" {
		t.Errorf("bound to %q", node)
	}
	w.event("ml/train", "Scheduled", "Started on node sim-0 with 1 GPU.")
	if writes := written(t, s, "pods/binding", "") + written(t, s, "events", ""); writes != 2 {
		t.Errorf("%v writes for one pod, want 2", writes)
	}
}

func TestSharesOfOneDevice(t *testing.T) {
	w := newWorld(t, nodes(1, 1, false)...)
	w.project("ml", "1")
	s, _ := w.scheduler()
	for _, name := range []string{"a", "b"} {
		w.submit(w.share(pod("ml", name, 0, ask.GPUFraction+"=0.5")))
		w.bound("ml/" + name)
	}
	if writes := written(t, s, "resourceclaims/status", "") + written(t, s, "pods/binding", ""); writes != 4 {
		t.Errorf("%v writes for two pods beside those that make their claims, want 4", writes)
	}
	w.submit(w.share(pod("ml", "c", 0, ask.GPUFraction+"=0.5", ask.Preemptible+"=true")))
	w.waits("ml/c", string(sched.ReasonNoDevices))
	w.remove("ml/a")
	w.bound("ml/c")
	w.noOverGrant()
}

func TestWholeDevicesByCountOnExactNodes(t *testing.T) {
	w := newWorld(t, nodes(1, 4, false)...)
	w.project("ml", "4")
	w.scheduler()
	w.submit(pod("ml", "pair", 2))
	w.bound("ml/pair")
	p := w.get("ml/pair")
	if p.Status.ExtendedResourceClaimStatus == nil {
		t.Fatal("the pod's status does not name its claim")
	}
	c, err := w.kube.ResourceV1().ResourceClaims("ml").Get(t.Context(),
		p.Status.ExtendedResourceClaimStatus.ResourceClaimName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if held, ok, err := claim.Held(c, nil); !ok || err != nil || len(held.Devices) != 2 {
		t.Errorf("the claim holds %+v, %v", held, err)
	}
	w.noOverGrant()
}

func TestLentQuotaComesBack(t *testing.T) {
	w := newWorld(t, nodes(1, 4, true)...)
	w.project("owner", "4")
	w.project("borrower", "0")
	w.scheduler()
	for i := range 4 {
		w.submit(pod("borrower", fmt.Sprintf("b%d", i), 1, ask.Preemptible+"=true"))
		w.bound(fmt.Sprintf("borrower/b%d", i))
	}
	w.status("projects", "borrower", func(s v1alpha1.OwnerStatus) bool { return s.Total.Borrowed.GPU == "4" })
	w.submit(pod("owner", "o", 3))
	w.bound("owner/o")
	victims := 0
	for i := range 4 {
		if id := fmt.Sprintf("borrower/b%d", i); w.exists(id) {
			continue
		} else if victims++; victims == 1 {
			w.event(id, "Reclaimed", "Stopped by Weir: it ran on borrowed GPUs, to which project owner has the "+
				"better right, for owner/o. Nothing recreates a bare pod: submit it again, or run it as a Job.")
		}
	}
	if victims != 3 {
		t.Errorf("%d pods were stopped, want 3", victims)
	}
	w.status("projects", "owner", func(s v1alpha1.OwnerStatus) bool {
		return s.Total.Granted.GPU == "3" && s.Total.Running == 1 && len(s.Conditions) == 1 &&
			s.Conditions[0].Status == metav1.ConditionTrue
	})
}

func TestPodsAreToldWhyTheyWait(t *testing.T) {
	w := newWorld(t, nodes(1, 4, true)...)
	w.project("ml", "1")
	w.scheduler()
	w.submit(pod("ml", "above", 2))
	w.waits("ml/above", string(sched.ReasonOverQuota))
	w.submit(pod("ml", "huge", 16, ask.Preemptible+"=true"))
	w.waits("ml/huge", string(sched.ReasonTooLarge))
	w.submit(pod("default", "lost", 1))
	if why := w.waits("default/lost", string(sched.ReasonNoOwner)); !strings.Contains(why, "project") {
		t.Errorf("a pod without a project is told %q", why)
	}
	tainted := pod("ml", "picky", 1)
	tainted.Spec.NodeSelector = map[string]string{"disk": "fast"}
	w.submit(tainted)
	if why := w.waits("ml/picky", string(sched.ReasonFitness)); !strings.Contains(why, "disk=fast") {
		t.Errorf("a pod for other nodes is told %q", why)
	}
}

func TestFinishesWhatAKilledSchedulerBegan(t *testing.T) {
	w := newWorld(t, nodes(2, 2, false)...)
	w.project("ml", "4")
	w.submit(w.share(pod("ml", "half", 0, ask.GPUFraction+"=0.5")))
	var c *resourcev1.ResourceClaim
	w.eventually("the claim is made", func() error {
		list, err := w.kube.ResourceV1().ResourceClaims("ml").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) == 0 || len(w.get("ml/half").Status.ResourceClaimStatuses) == 0 {
			return fmt.Errorf("not yet: %v", err)
		}
		c = &list.Items[0]
		return nil
	})
	// The predecessor wrote the allocation, and was killed before the binding.
	grant := sched.Grant{Node: "dra-sim-1", Devices: []sched.Share{{
		Device: "gpu-1", MemoryMiB: 40779, ComputeMilli: 500, LimitMemoryMiB: 40779, LimitComputeMilli: 500}}}
	allocated := must(claim.Grant(w.get("ml/half"), []*resourcev1.ResourceClaim{c}, grant))[0]
	must(w.kube.ResourceV1().ResourceClaims("ml").UpdateStatus(t.Context(), allocated, metav1.UpdateOptions{}))
	s, _ := w.scheduler()
	if node := w.bound("ml/half"); node != "dra-sim-1" {
		t.Errorf("bound to %s, but its device is on dra-sim-1", node)
	}
	if writes := written(t, s, "resourceclaims/status", ""); writes != 0 {
		t.Errorf("the claim was written %v times again", writes)
	}
}

func TestOneOfTwoDecides(t *testing.T) {
	w := newWorld(t, nodes(1, 4, true)...)
	w.project("ml", "4")
	elect := func(name string) func(*live.Options) {
		return func(o *live.Options) { o.LeaderElect, o.Name = true, name }
	}
	first, stopFirst := w.scheduler(elect("weir-0"))
	w.submit(pod("ml", "a", 1))
	w.bound("ml/a")
	second, _ := w.scheduler(elect("weir-1"))
	w.submit(pod("ml", "b", 1))
	w.bound("ml/b")
	if written(t, second, "", "") != 0 || written(t, first, "pods/binding", "") != 2 {
		t.Error("the second scheduler decided while the first had the lead")
	}
	stopFirst()
	w.submit(pod("ml", "c", 1))
	w.bound("ml/c")
	if written(t, second, "pods/binding", "") != 1 {
		t.Error("the second scheduler did not take over")
	}
}

// exists reports whether a pod is there and not stopping.
func (w *world) exists(id string) bool {
	w.Helper()
	namespace, name, _ := strings.Cut(id, "/")
	p, err := w.kube.CoreV1().Pods(namespace).Get(w.Context(), name, metav1.GetOptions{})
	return err == nil && p.DeletionTimestamp == nil
}

func (w *world) remove(id string) {
	w.Helper()
	namespace, name, _ := strings.Cut(id, "/")
	if err := w.kube.CoreV1().Pods(namespace).Delete(w.Context(), name, metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
}

// event expects one event about a pod.
func (w *world) event(id, reason, note string) {
	w.Helper()
	namespace, name, _ := strings.Cut(id, "/")
	w.eventually("an event "+reason+" about "+id, func() error {
		list, err := w.kube.EventsV1().Events(namespace).List(w.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		var notes []string
		for _, e := range list.Items {
			if e.Regarding.Name == name && e.Reason == reason {
				notes = append(notes, e.Note)
			}
		}
		if len(notes) == 0 || notes[len(notes)-1] != note {
			return fmt.Errorf("%q", notes)
		}
		return nil
	})
}

// status waits for a status of an owner.
func (w *world) status(kind, name string, ok func(v1alpha1.OwnerStatus) bool) {
	w.Helper()
	w.eventually("the status of "+name, func() error {
		p := &v1alpha1.Project{}
		if err := w.weir.Get().Resource(kind).Name(name).Do(w.Context()).Into(p); err != nil {
			return err
		}
		if !ok(p.Status) {
			return fmt.Errorf("%+v", p.Status)
		}
		return nil
	})
}

// noOverGrant sums up, from the API alone, what is granted of every device and
// of every count node.
func (w *world) noOverGrant() {
	w.Helper()
	if err := w.overGrant(); err != nil {
		w.Error(err)
	}
}

func (w *world) overGrant() error {
	claims, err := w.kube.ResourceV1().ResourceClaims("").List(w.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	compute := map[string]int64{}
	for i := range claims.Items {
		held, _, err := claim.Held(&claims.Items[i], nil)
		if err != nil {
			return err
		}
		for _, s := range held.Devices {
			if compute[held.Node+"/"+s.Device] += s.ComputeMilli; compute[held.Node+"/"+s.Device] > sched.WholeCompute {
				return fmt.Errorf("%s of %s is granted beyond what it has", s.Device, held.Node)
			}
		}
	}
	return w.overCount()
}

func (w *world) overCount() error {
	pods, err := w.kube.CoreV1().Pods("").List(w.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	used := map[string]int64{}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			q := p.Spec.Containers[0].Resources.Limits[ask.WholeGPU]
			used[p.Spec.NodeName] += q.Value()
		}
	}
	var errs []error
	list, err := w.kube.CoreV1().Nodes().List(w.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, n := range list.Items {
		has, counted := n.Status.Allocatable[ask.WholeGPU]
		if counted && used[n.Name] > has.Value() {
			errs = append(errs, fmt.Errorf("node %s has %d GPUs and %d are granted", n.Name, has.Value(), used[n.Name]))
		}
	}
	return errors.Join(errs...)
}
