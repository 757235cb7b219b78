package openb

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/api/tree"
	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/sched"
)

const clusterGPUs = 6212

// The organisation adds up, and gives away every GPU of the cluster.
func TestOrganisation(t *testing.T) {
	ds, ps := Organisation()
	var dvals []v1alpha1.Department
	var pvals []v1alpha1.Project
	var given int64
	for _, d := range ds {
		dvals = append(dvals, *d)
		given += quota(t, d)
	}
	namespaces := map[string]bool{}
	for _, p := range ps {
		pvals = append(pvals, *p)
		given -= quota(t, p)
		namespaces[p.NamespaceNames()[0]] = true
	}
	for _, problem := range tree.Check(dvals, pvals) {
		t.Error(problem)
	}
	if given != 0 {
		t.Errorf("departments have %d micro-GPUs more than their projects", given)
	}
	var all int64
	for _, d := range ds {
		all += quota(t, d)
	}
	if all != clusterGPUs*1_000_000 {
		t.Errorf("quotas of %d micro-GPUs in all", all)
	}
	for _, ns := range Namespaces() {
		if !namespaces[ns.Name] {
			t.Errorf("namespace %s is of no project", ns.Name)
		}
		delete(namespaces, ns.Name)
	}
	if len(namespaces) > 0 {
		t.Errorf("namespaces missing: %v", namespaces)
	}
}

func quota(t *testing.T, o interface{ Owner() (sched.Owner, error) }) int64 {
	t.Helper()
	owner, err := o.Owner()
	if err != nil {
		t.Fatal(err)
	}
	return owner.Pools["default"].Quota.GPU
}

func TestCompress(t *testing.T) {
	for _, c := range []struct{ trace, replay time.Duration }{
		{0, 60 * time.Second},
		{time.Minute, 80 * time.Second},
		{7 * time.Minute, 120 * time.Second},
		{63 * time.Minute, 180 * time.Second},
		{1023 * time.Minute, 260 * time.Second},
	} {
		if got := Compress(c.trace); got != c.replay {
			t.Errorf("%v becomes %v, want %v", c.trace, got, c.replay)
		}
	}
}

func TestPlan(t *testing.T) {
	s, err := Plan(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := 8152 + len(Gangs()); len(s.Items) != want {
		t.Errorf("%d items, want %d", len(s.Items), want)
	}
	if last := s.Items[len(s.Items)-1].At; last != DefaultArrivals {
		t.Errorf("the last item comes at %v, want %v", last, DefaultArrivals)
	}
	again, err := Plan(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Items {
		a, b := s.Items[i].Object(), again.Items[i].Object()
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("the plan of the same trace differs: %v and %v", a, b)
		}
	}
	bare, err := Plan(Options{TraceOnly: true})
	if err != nil || len(bare.Items) != 8152 {
		t.Errorf("the trace alone has %d items, %v", len(bare.Items), err)
	}
}

func TestSpeed(t *testing.T) {
	normal, err := Plan(Options{})
	if err != nil {
		t.Fatal(err)
	}
	fast, err := Plan(Options{Speed: 4})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]Item{}
	for _, item := range fast.Items {
		at[item.Name] = item
	}
	for _, n := range normal.Items {
		f := at[n.Name]
		if f.At != (n.At/4).Round(time.Millisecond) || f.Run != (n.Run/4).Round(time.Millisecond) || f.Project != n.Project {
			t.Fatalf("%+v at speed 1 and %+v at speed 4", n, f)
		}
	}
	for _, speed := range []float64{-1, 0.0001, 2000, nan()} {
		if _, err := Plan(Options{Speed: speed}); err == nil {
			t.Errorf("speed %v is taken", speed)
		}
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestItemObjects(t *testing.T) {
	s, err := Plan(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Items {
		item := &s.Items[i]
		obj := item.Object()
		if obj.GetNamespace() != item.Project || obj.GetName() != item.Name {
			t.Fatalf("%s/%s became %s/%s", item.Project, item.Name, obj.GetNamespace(), obj.GetName())
		}
		var run string
		switch o := obj.(type) {
		case *corev1.Pod:
			run = o.Annotations[RunAnnotation]
		case *batchv1.Job:
			run = o.Spec.Template.Annotations[RunAnnotation]
			if int(*o.Spec.Parallelism) != item.Pods {
				t.Errorf("%s: %d pods, want %d", item.Name, *o.Spec.Parallelism, item.Pods)
			}
		default:
			t.Fatalf("%T", obj)
		}
		if run != item.Run.String() || item.Run < time.Minute {
			t.Fatalf("%s runs %q, want %v", item.Name, run, item.Run)
		}
	}
}

// The steps are in order, and everything that is created finishes.
func TestSteps(t *testing.T) {
	s, err := Plan(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var at time.Duration
	running, steps := map[*Item]bool{}, 0
	for step := range s.Steps() {
		steps++
		if step.At < at {
			t.Fatalf("a step at %v comes after one at %v", step.At, at)
		}
		at = step.At
		if running[step.Item] != (step.Action == Finish) {
			t.Fatalf("%s of %s out of turn", step.Action, step.Item.Name)
		}
		running[step.Item] = step.Action == Create
		if step.Action == Finish && step.At != step.Item.At+step.Item.Run {
			t.Fatalf("%s finishes at %v", step.Item.Name, step.At)
		}
	}
	if steps != 2*len(s.Items) {
		t.Errorf("%d steps for %d items", steps, len(s.Items))
	}
	for range s.Steps() {
		break // stops
	}
}

// demand is how many GPUs are asked for at a moment if nothing waits, and how
// many of them may be taken back.
type demand struct{ gpus, preemptible float64 }

func demandAt(s *Schedule, at time.Duration) (total float64, of map[string]demand) {
	of = map[string]demand{}
	for i := range s.Items {
		item := &s.Items[i]
		if item.At > at || item.At+item.Run <= at {
			continue
		}
		d, gpus := of[item.Project], float64(item.Micro)/1e6
		d.gpus += gpus
		if pod, isPod := item.Object().(*corev1.Pod); !isPod || pod.Annotations["weir.dev/preemptible"] == "true" {
			d.preemptible += gpus
		}
		of[item.Project] = d
		total += gpus
	}
	return total, of
}

// The story that the package doc tells of the organisation.
func TestStory(t *testing.T) {
	s, err := Plan(Options{})
	if err != nil {
		t.Fatal(err)
	}
	quotas := map[string]float64{}
	_, ps := Organisation()
	for _, p := range ps {
		quotas[p.Name] = float64(quota(t, p)) / 1e6
	}
	expect := func(ok bool, format string, args ...any) {
		t.Helper()
		if !ok {
			t.Errorf(format, args...)
		}
	}

	_, early := demandAt(s, 60*time.Second)
	for _, p := range []string{"batch", "language"} {
		expect(early[p].gpus > 1.5*quotas[p], "at 60 s %s asks for %v, not far above its quota of %v", p, early[p], quotas[p])
	}
	expect(early["assistant"].gpus == 0, "assistant comes early: %v", early["assistant"])
	expect(early["foundation"].gpus == quotas["foundation"], "foundation asks for %v of its %v",
		early["foundation"], quotas["foundation"])

	before, _ := demandAt(s, 80*time.Second)
	full, late := demandAt(s, 90*time.Second)
	expect(before < clusterGPUs, "the cluster is too small at 80 s already: %v", before)
	expect(full > clusterGPUs, "the cluster is not full at 90 s: %v", full)
	peak, last := demandAt(s, 100*time.Second)
	expect(peak > 1.15*clusterGPUs, "at the end of the arrivals %v GPUs are asked for", peak)
	came := last["assistant"].gpus - late["assistant"].gpus
	expect(came > 300, "assistant asks for %v more between 90 and 100 s", came)
	expect(last["assistant"].gpus <= quotas["assistant"], "assistant asks for more than its quota: %v", last["assistant"])

	var borrowed float64
	for _, p := range []string{"batch", "language", "vision"} {
		over := late[p].gpus - quotas[p]
		borrowed += min(over, late[p].preemptible)
		expect(over > 0, "%s borrows nothing at 90 s: %v of %v", p, late[p], quotas[p])
	}
	expect(borrowed > came, "%v is borrowed and %v wanted back", borrowed, came)

	vision := func(d demand) float64 { return d.gpus - d.preemptible }
	expect(vision(last["vision"]) <= quotas["vision"], "vision serves more than its quota: %v", last["vision"])
	expect(vision(last["vision"]) > vision(late["vision"])+20, "vision serves no more at 100 s than at 90 s")
	expect(last["recommend"].gpus > quotas["recommend"], "recommend stays within its quota: %v", last["recommend"])
	expect(last["sandbox"] == demand{}, "sandbox came: %v", last["sandbox"])

	after, _ := demandAt(s, 180*time.Second)
	expect(after < clusterGPUs, "still %v GPUs at 180 s", after)
}

// All projects but the idle one submit, and each pod always goes to the same.
func TestAssign(t *testing.T) {
	pods, err := Pods()
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, p := range pods {
		count[Assign(p)]++
	}
	got := slices.Sorted(maps.Keys(count))
	if want := []string{"assistant", "batch", "language", "recommend", "search", "vision"}; !slices.Equal(got, want) {
		t.Errorf("pods of %v, want of %v", got, want)
	}
}
