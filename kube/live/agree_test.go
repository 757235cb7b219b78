package live

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgotesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/kube/fitness"
	"github.com/weir-gpu/weir/kube/plan"
	"github.com/weir-gpu/weir/kube/status"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// planned is the time of the plans.
var planned = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// fewest is how many scenarios have to be compared at least.
const fewest = 30

// leftOut are the scenarios that a plan answers and the live scheduler is not
// asked about, and why.
var leftOut = map[string]string{}

// TestLiveAndPlanAgree shows the live scheduler what each scenario of kube/plan
// says there is, and compares everything that it does, and what it tells the
// pods that wait, with the plan. The live scheduler does in steps what a plan
// says in one: it stops pods, sees them go, and starts others in their place.
func TestLiveAndPlanAgree(t *testing.T) {
	files, err := filepath.Glob("../plan/testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		result, objects, refused := planOf(t, file)
		if refused || leftOut[name] != "" {
			continue // a cluster refuses to hold some of these objects
		}
		compared++
		t.Run(name, func(t *testing.T) {
			newRehearsal(t, objects).compare(result)
		})
	}
	if compared < fewest {
		t.Errorf("%d scenarios are compared, want %d at least", compared, fewest)
	}
	t.Logf("%d scenarios are compared", compared)
}

// planOf returns what a plan says of a scenario, and what a cluster would hold.
func planOf(t *testing.T, file string) (result *plan.Result, objects []runtime.Object, refused bool) {
	t.Helper()
	in, err := plan.Read([]string{file}, nil)
	if err != nil {
		return nil, nil, true
	}
	if result, err = in.Run(planned); err != nil {
		return nil, nil, true
	}
	if in, err = plan.Read([]string{file}, nil); err != nil { // Run uses its input up
		t.Fatal(err)
	}
	if objects, err = in.Cluster(planned); err != nil {
		t.Fatal(err)
	}
	return result, objects, false
}

// rehearsal is a stage whose API server answers, and whose engine is watched.
type rehearsal struct {
	*stage
	shown map[string]runtime.Object // pods and claims, by kind and name
	did   []sched.Decision
}

// witness writes down what an engine decides.
type witness struct {
	engine
	did *[]sched.Decision
}

func (w witness) Decide(now sched.Time) []sched.Decision {
	decisions := w.engine.Decide(now)
	*w.did = append(*w.did, decisions...)
	return decisions
}

func newRehearsal(t *testing.T, objects []runtime.Object) *rehearsal {
	r := &rehearsal{stage: emptyStage(t, planned), shown: map[string]runtime.Object{}}
	r.loop.engine = witness{r.loop.engine, &r.did}
	r.client.PrependReactor("create", "pods", r.evictPod)
	for _, obj := range withClaims(t, objects) {
		switch o := obj.(type) {
		case *corev1.Pod, *resourcev1.ResourceClaim:
			r.store(o)
		default:
			r.show(o)
		}
	}
	r.watch()
	r.board = status.NewBoard() // statuses are another package's story
	r.news = true               // the engine has not been asked yet
	return r
}

// evictPod lets the fake API server evict pods.
func (r *rehearsal) evictPod(a clientgotesting.Action) (bool, runtime.Object, error) {
	if a.GetSubresource() != "eviction" {
		return false, nil, nil
	}
	gone := a.(clientgotesting.CreateAction).GetObject().(metav1.Object)
	return true, nil, r.client.Tracker().Delete(podsResource, gone.GetNamespace(), gone.GetName())
}

// compare lets the scheduler work, and sees that it is what was planned.
func (r *rehearsal) compare(want *plan.Result) {
	r.settle()
	var first, later, got []string
	for _, d := range want.Decisions {
		if len(d.After) > 0 {
			later = append(later, line(d))
			continue
		}
		first = append(first, line(d))
	}
	for i := range r.did {
		got = append(got, line(decided(&r.did[i])))
	}
	r.same("at once", got, first)
	r.did = nil

	r.patiently()
	promised := map[string]bool{}
	for _, d := range want.Decisions {
		if p, ok := r.state.Pod(d.Pod); ok && len(d.After) > 0 {
			promised[workload.Display(p.Workload)] = true
		}
	}
	r.same("told", r.told(promised), wanted(want.Waiting))

	r.finish()
	for r.watch() {
		r.settle()
	}
	got = nil
	for i := range r.did {
		got = append(got, line(decided(&r.did[i])))
	}
	slices.Sort(got)
	slices.Sort(later)
	r.same("when the others are gone", got, later)
	if len(r.flights) > 0 {
		r.Errorf("%d starts are not over", len(r.flights))
	}
}

func (r *rehearsal) same(when string, got, want []string) {
	r.Helper()
	if !slices.Equal(got, want) {
		r.Errorf("%s: the live scheduler\n\t%s\nplanned\n\t%s", when, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// settle lets the engine decide and the workers work until neither has more to
// do. Nothing of it is seen before [rehearsal.watch].
func (r *rehearsal) settle() {
	for r.news {
		for r.news {
			r.news = r.decide(r.Context())
		}
		r.holding = time.Time{}
		r.crew.Hold(false)
		r.work()
		r.work() // receipts of the work
	}
}

// patiently lets so much time go by that pods that wait are told why.
func (r *rehearsal) patiently() {
	for range 3 {
		r.pass(problemEvery)
	}
}

// finish lets pods end that were stopping before anything was decided.
func (r *rehearsal) finish() {
	pods := must(r.client.CoreV1().Pods("").List(r.Context(), metav1.ListOptions{}))
	for i := range pods.Items {
		if p := &pods.Items[i]; p.DeletionTimestamp != nil {
			if err := r.client.Tracker().Delete(podsResource, p.Namespace, p.Name); err != nil {
				r.Fatal(err)
			}
		}
	}
}

// watch shows the loop how pods and claims are now, and reports whether any
// changed.
func (r *rehearsal) watch() bool {
	now := map[string]runtime.Object{}
	pods := must(r.client.CoreV1().Pods("").List(r.Context(), metav1.ListOptions{}))
	for i := range pods.Items {
		now["pod "+fitness.ID(&pods.Items[i])] = &pods.Items[i]
	}
	claims := must(r.client.ResourceV1().ResourceClaims("").List(r.Context(), metav1.ListOptions{}))
	for i := range claims.Items {
		c := &claims.Items[i]
		r.release(c, now)
		now["claim "+c.Namespace+"/"+c.Name] = c
	}
	changed := false
	for _, key := range slices.Sorted(maps.Keys(r.shown)) {
		if now[key] == nil {
			changed = true
			r.take(&watch.Change{Object: r.shown[key], Gone: true})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if !equality.Semantic.DeepEqual(r.shown[key], now[key]) {
			changed = true
			r.show(now[key])
		}
	}
	r.shown = now
	return changed
}

// release takes pods that are gone off a claim, as kube-controller-manager
// does.
func (r *rehearsal) release(c *resourcev1.ResourceClaim, there map[string]runtime.Object) {
	left := slices.DeleteFunc(slices.Clone(c.Status.ReservedFor), func(p resourcev1.ResourceClaimConsumerReference) bool {
		return there["pod "+c.Namespace+"/"+p.Name] == nil
	})
	if len(left) == len(c.Status.ReservedFor) {
		return
	}
	c.Status.ReservedFor = left
	must(r.client.ResourceV1().ResourceClaims(c.Namespace).UpdateStatus(r.Context(), c, metav1.UpdateOptions{}))
}

// told returns what pods were told of why they wait, by workload. Those to
// which something is promised are left out: a plan says that of their starts.
func (r *rehearsal) told(promised map[string]bool) []string {
	var told []string
	pods := must(r.client.CoreV1().Pods("").List(r.Context(), metav1.ListOptions{}))
	for i := range pods.Items {
		p, ok := r.state.Pod(fitness.ID(&pods.Items[i]))
		c := scheduled(&pods.Items[i])
		if !ok || c == nil || c.Status != corev1.ConditionFalse || promised[workload.Display(p.Workload)] {
			continue
		}
		told = append(told, fmt.Sprintf("%s %s: %s", workload.Display(p.Workload), c.Reason, c.Message))
	}
	slices.Sort(told)
	return slices.Compact(told)
}

func wanted(waiting []plan.Waiting) []string {
	var lines []string
	for _, w := range waiting {
		lines = append(lines, fmt.Sprintf("%s %s: %s", w.Workload, w.Reason, w.Message))
	}
	slices.Sort(lines)
	return lines
}

// line is a decision as the tests compare it.
func line(d plan.Decision) string {
	return fmt.Sprintf("%s %s %s %v for %q by %q", d.Action, d.Pod, cmp.Or(d.Node, "nowhere"), d.Devices, d.For, d.Rule)
}

// decided is a decision in a plan's words.
func decided(d *sched.Decision) plan.Decision {
	out := plan.Decision{Action: string(d.Action), Pod: d.Pod, Node: d.Grant.Node, Rule: string(d.Rule)}
	for _, s := range d.Grant.Devices {
		out.Devices = append(out.Devices, plan.Device{Device: s.Device, MemoryMiB: s.MemoryMiB,
			ComputeMilli: s.ComputeMilli})
	}
	if d.For != "" {
		out.For = workload.Display(d.For)
	}
	return out
}

// withClaims adds what admission and kube-controller-manager add to pods that
// ask for shares: a reference to a claim, and the claim.
func withClaims(t *testing.T, objects []runtime.Object) []runtime.Object {
	t.Helper()
	templates := map[string]*resourcev1.ResourceClaimTemplate{}
	for _, obj := range objects {
		if o, ok := obj.(*resourcev1.ResourceClaimTemplate); ok {
			templates[o.Namespace+"/"+o.Name] = o
		}
	}
	all := slices.Clone(objects)
	for _, obj := range objects {
		pod, ok := obj.(*corev1.Pod)
		if !ok || pod.Spec.NodeName != "" || pod.Spec.SchedulerName != ask.SchedulerName {
			continue
		}
		if ask.ShareWord(pod) != "" && len(pod.Spec.ResourceClaims) == 0 {
			a, err := ask.FromPod(pod, nil)
			if err != nil {
				t.Fatal(err)
			}
			made := claim.Template(pod.Namespace, ask.ShapeOf(a))
			templates[made.Namespace+"/"+made.Name] = made
			pod.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: ask.ClaimRef, ResourceClaimTemplateName: &made.Name}}
		}
		for i := range pod.Spec.ResourceClaims {
			if c := generate(pod, &pod.Spec.ResourceClaims[i], templates); c != nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// generate makes the claim of one reference of a pod and names it in the pod's
// status. It is nil where the reference names a claim itself, or a template
// that is not there.
func generate(pod *corev1.Pod, ref *corev1.PodResourceClaim,
	templates map[string]*resourcev1.ResourceClaimTemplate,
) *resourcev1.ResourceClaim {
	if ref.ResourceClaimTemplateName == nil || ask.ClaimName(pod, ref) != "" {
		return nil
	}
	template := templates[pod.Namespace+"/"+*ref.ResourceClaimTemplateName]
	if template == nil {
		return nil
	}
	name := pod.Name + "-" + ref.Name
	pod.Status.ResourceClaimStatuses = append(pod.Status.ResourceClaimStatuses,
		corev1.PodResourceClaimStatus{Name: ref.Name, ResourceClaimName: &name})
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: name, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: ptr.To(true)}}},
		Spec: template.Spec.Spec,
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
