package simnode

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// pod returns a bound pod that started at noon if it is past Pending.
func pod(phase corev1.PodPhase, annotations map[string]string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ml", UID: "u", Annotations: annotations},
		Spec:       corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "main", Image: "busybox"}}},
		Status:     corev1.PodStatus{Phase: phase},
	}
	if phase != corev1.PodPending {
		at := metav1.NewTime(noon)
		p.Status.StartTime = &at
	}
	return p
}

// deleted returns pod as it looks when it was deleted at noon.
func deleted(pod *corev1.Pod, grace int64, finalizers ...string) *corev1.Pod {
	at := metav1.NewTime(noon.Add(time.Duration(grace) * time.Second))
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds, pod.Finalizers = &at, &grace, finalizers
	return pod
}

func TestNext(t *testing.T) {
	runs := map[string]string{DurationAnnotation: "30s"}
	stops := map[string]string{StopAnnotation: "10s"}
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	for _, test := range []struct {
		name    string
		pod     *corev1.Pod
		started time.Time
		now     time.Time
		want    step
		due     time.Time
	}{
		{"a bound pod starts", pod(corev1.PodPending, nil), time.Time{}, at(0), run, time.Time{}},
		{"it runs for ever", pod(corev1.PodRunning, nil), time.Time{}, at(1e6), rest, time.Time{}},
		{"or for a time", pod(corev1.PodRunning, runs), at(0), at(29), rest, at(30)},
		{"which ends", pod(corev1.PodRunning, runs), at(0), at(30), finish, time.Time{}},
		{"counted from its start", pod(corev1.PodRunning, runs), at(0).Add(time.Millisecond), at(30), rest,
			at(30).Add(time.Millisecond)},
		{"what ended rests", pod(corev1.PodSucceeded, runs), time.Time{}, at(99), rest, time.Time{}},
		{"a duration that cannot be read is none", pod(corev1.PodRunning, map[string]string{DurationAnnotation: "soon"}),
			time.Time{}, at(99), rest, time.Time{}},
		{"a deleted pod goes at once", deleted(pod(corev1.PodRunning, runs), 30), time.Time{}, at(0), remove, time.Time{}},
		{"or when it has stopped", deleted(pod(corev1.PodRunning, stops), 30), time.Time{}, at(1), rest, at(10)},
		{"but never after its grace", deleted(pod(corev1.PodRunning, stops), 5), time.Time{}, at(1), rest, at(5)},
		{"pending or not", deleted(pod(corev1.PodPending, nil), 30), time.Time{}, at(0), remove, time.Time{}},
		{"who watches its end is told first", deleted(pod(corev1.PodRunning, nil), 30, "batch.kubernetes.io/job-tracking"),
			time.Time{}, at(0), finish, time.Time{}},
		{"and then it goes", deleted(pod(corev1.PodFailed, nil), 30, "batch.kubernetes.io/job-tracking"),
			time.Time{}, at(0), remove, time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, due := next(test.pod, test.started, test.now)
			if got != test.want || !due.Equal(test.due) {
				t.Errorf("got step %d at %v, want step %d at %v", got, due, test.want, test.due)
			}
		})
	}
}

func TestStatusOfALife(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	p := pod(corev1.PodPending, nil)
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
	p.Spec.InitContainers = []corev1.Container{{Name: "fetch"}, {Name: "proxy", RestartPolicy: &always}}

	p.Status = running(p, "198.18.0.1", noon)
	expect(t, p.Status, "Running Ready=True main=running:true fetch=0:true proxy=running:true")
	if p.Status.PodIP == "" || p.Status.StartTime == nil || p.Status.Conditions[0].Type != corev1.PodScheduled {
		t.Errorf("address, start and earlier conditions are to be there: %+v", p.Status)
	}
	p.Status = finished(p, 0, noon.Add(time.Minute))
	expect(t, p.Status, "Succeeded Ready=False main=0:false fetch=0:true proxy=0:false")
	p.Status = finished(p, 137, noon.Add(time.Minute))
	expect(t, p.Status, "Failed Ready=False main=137:false fetch=0:true proxy=0:false")
}

// expect compares a status in short: containers with exit code and readiness.
func expect(t *testing.T, status corev1.PodStatus, want string) {
	t.Helper()
	got := string(status.Phase)
	for _, c := range status.Conditions {
		if c.Type == corev1.PodReady {
			got += fmt.Sprintf(" Ready=%s", c.Status)
		}
	}
	for _, c := range append(status.ContainerStatuses, status.InitContainerStatuses...) {
		state := "running"
		if t := c.State.Terminated; t != nil {
			state = fmt.Sprint(t.ExitCode)
		}
		got += fmt.Sprintf(" %s=%s:%v", c.Name, state, c.Ready)
	}
	if got != want {
		t.Errorf("status is\n%s, want\n%s", got, want)
	}
}

func TestCheckNamesTheAnnotation(t *testing.T) {
	for annotation, value := range map[string]string{
		DurationAnnotation: "-1s", StopAnnotation: "5 minutes", ExitAnnotation: "256",
	} {
		err := check(pod(corev1.PodPending, map[string]string{annotation: value}))
		want := fmt.Sprintf("annotation %s is %q: use ", annotation, value)
		if err == nil || err.Error()[:len(want)] != want {
			t.Errorf("error is %v, want %q …", err, want)
		}
	}
	if err := check(pod(corev1.PodPending, map[string]string{DurationAnnotation: "1h", ExitAnnotation: "0"})); err != nil {
		t.Error(err)
	}
}

func TestShape(t *testing.T) {
	specs, err := Shape(100, 8, "h100")
	if err != nil || len(specs) != 100 {
		t.Fatal(len(specs), err)
	}
	n := specs[7].node(noon)
	if n.Name != "sim-07" || n.Labels["nvidia.com/gpu.product"] != "NVIDIA-H100-80GB-HBM3" ||
		n.Labels["nvidia.com/gpu.memory"] != "81559" || n.Labels["nvidia.com/gpu.count"] != "8" {
		t.Errorf("node is %+v", n.ObjectMeta)
	}
	for _, bad := range []func() ([]Spec, error){
		func() ([]Spec, error) { return Shape(0, 8, "H100") },
		func() ([]Spec, error) { return Shape(1, -1, "H100") },
		func() ([]Spec, error) { return Shape(1, 8, "H1000") },
	} {
		if _, err := bad(); err == nil {
			t.Error("no error")
		}
	}
	if _, err := sorted([]Spec{{Name: "a"}, {Name: "b"}, {Name: "a"}}); err == nil {
		t.Error("two nodes of one name: no error")
	}
}

func TestAddressesAreStableAndInTheirNet(t *testing.T) {
	seen := map[string]string{}
	for i := range 1000 {
		name := fmt.Sprintf("node-%d", i)
		a := address(nodeNet, name)
		if a != address(nodeNet, name) || a[:7] != "198.18." && a[:7] != "198.19." {
			t.Fatalf("address of %s is %s", name, a)
		}
		seen[a] = name
	}
	if len(seen) < 990 {
		t.Errorf("1000 names share %d addresses", len(seen))
	}
}
