package simnode

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gpu/weir/cluster"
)

// All tests of a fleet share one cluster, and take turns in it.
var (
	shared *cluster.Cluster
	client kubernetes.Interface
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "weir-simnode-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		shared, err = cluster.Start(context.Background(), cluster.Options{Dir: dir, UnsafeNoFsync: true})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer shared.Stop()
		client = kubernetes.NewForConfigOrDie(shared.Config())
		return m.Run()
	}())
}

// runFleet runs a fleet of the given nodes until the test ends or stop is called.
func runFleet(t *testing.T, nodes []Spec) (f *Fleet, stop func()) {
	t.Helper()
	f, err := New(Options{Config: shared.Config(), Nodes: nodes, Logs: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stopped := false
	stop = func() {
		cancel()
		if !stopped {
			stopped = true
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	select {
	case <-f.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return f, stop
}

func counted(names ...string) []Spec {
	var specs []Spec
	for _, name := range names {
		specs = append(specs, Spec{
			Name: name, CPU: 64_000, Memory: 1 << 39, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", MemoryMiB: 81559, Counted: true,
		})
	}
	return specs
}

// bind makes a pod that is bound to a node from the start.
func bind(t *testing.T, name, node string, annotations map[string]string) {
	t.Helper()
	grace := int64(2)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations},
		Spec: corev1.PodSpec{
			NodeName:                      node,
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: &grace,
			Containers:                    []corev1.Container{{Name: "main", Image: "busybox"}},
		},
	}
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
		client.CoreV1().Pods("default").Delete(context.Background(), name, now)
	})
}

func phase(name string) string {
	p, err := client.CoreV1().Pods("default").Get(context.Background(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "gone"
	}
	if err != nil {
		return err.Error()
	}
	return string(p.Status.Phase)
}

func within(t *testing.T, d time.Duration, what string, check func() (got string, ok bool)) {
	t.Helper()
	var got string
	var ok bool
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got, ok = check(); ok {
			return
		}
	}
	t.Fatalf("%s: still %s after %v", what, got, d)
}

func expectPhase(t *testing.T, pod, want string) {
	t.Helper()
	within(t, 10*time.Second, "pod "+pod+" is to be "+want, func() (string, bool) {
		got := phase(pod)
		return got, got == want
	})
}

func TestPodsLiveAndDie(t *testing.T) {
	runFleet(t, counted("n1"))
	bind(t, "endless", "n1", nil)
	bind(t, "short", "n1", map[string]string{DurationAnnotation: "300ms"})
	bind(t, "crash", "n1", map[string]string{DurationAnnotation: "300ms", ExitAnnotation: "3"})
	bind(t, "elsewhere", "real-node", nil)
	expectPhase(t, "endless", "Running")
	expectPhase(t, "short", "Succeeded")
	expectPhase(t, "crash", "Failed")

	bind(t, "slow", "n1", map[string]string{StopAnnotation: "1s"})
	expectPhase(t, "slow", "Running")
	for _, name := range []string{"endless", "slow"} {
		if err := client.CoreV1().Pods("default").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	expectPhase(t, "endless", "gone")
	if got := phase("slow"); got != "Running" {
		t.Errorf("a pod that takes a second to stop is %s at once", got)
	}
	expectPhase(t, "slow", "gone")
	if got := phase("elsewhere"); got != "Pending" {
		t.Errorf("the pod of a node that is not simulated is %s", got)
	}
}

// Timers go on from where they were when the fleet of an earlier run ended.
func TestTimersSurviveARestart(t *testing.T) {
	_, stop := runFleet(t, counted("n1", "n2"))
	bind(t, "train", "n2", map[string]string{DurationAnnotation: "2s"})
	expectPhase(t, "train", "Running")
	stop()
	time.Sleep(2 * time.Second)
	if got := phase("train"); got != "Running" {
		t.Fatalf("with nobody to simulate it the pod is %s", got)
	}
	runFleet(t, nil) // takes up the nodes that there are
	expectPhase(t, "train", "Succeeded")
}

// What runs when everything is held up runs longer by as much; what starts
// later does not.
func TestHold(t *testing.T) {
	f, _ := runFleet(t, counted("n1"))
	bind(t, "before", "n1", map[string]string{DurationAnnotation: "1s"})
	expectPhase(t, "before", "Running")
	f.Hold(time.Hour)
	bind(t, "after", "n1", map[string]string{DurationAnnotation: "1s"})
	expectPhase(t, "after", "Succeeded")
	if got := phase("before"); got != "Running" {
		t.Errorf("the pod that was held up is %s", got)
	}
}

func TestFleetIsMadeToFit(t *testing.T) {
	_, stop := runFleet(t, counted("a", "b", "c"))
	stop()
	_, stop = runFleet(t, counted("b", "d"))
	stop()
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range nodes.Items {
		names = append(names, n.Name)
		if len(n.Spec.Taints) > 0 {
			t.Errorf("%s starts with taints %v", n.Name, n.Spec.Taints)
		}
	}
	if got := fmt.Sprint(names); got != "[b d]" {
		t.Errorf("nodes are %s, want b and d", got)
	}
}

// A Job learns that its pods ended, were deleted, and makes new ones.
func TestJobsSeeTheEnd(t *testing.T) {
	runFleet(t, counted("n1"))
	pods := int32(2)
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "train"},
		Spec: batchv1.JobSpec{
			Parallelism: &pods, Completions: &pods,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{DurationAnnotation: "1s"}},
				Spec: corev1.PodSpec{
					NodeName:      "n1",
					RestartPolicy: corev1.RestartPolicyNever,
					Containers:    []corev1.Container{{Name: "main", Image: "busybox"}},
				},
			},
		},
	}
	jobs, api := client.BatchV1().Jobs("default"), client.CoreV1().Pods("default")
	if _, err := jobs.Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var first string
	within(t, 10*time.Second, "a pod of the job runs", func() (string, bool) {
		list, err := api.List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=train"})
		if err != nil || len(list.Items) == 0 {
			return fmt.Sprint(err), false
		}
		first = list.Items[0].Name
		return first, list.Items[0].Status.Phase == corev1.PodRunning
	})
	if err := api.Delete(t.Context(), first, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the job completes", func() (string, bool) {
		got, err := jobs.Get(t.Context(), "train", metav1.GetOptions{})
		if err != nil {
			return err.Error(), false
		}
		s := got.Status
		return fmt.Sprintf("%d done, %d failed", s.Succeeded, s.Failed), s.Succeeded == 2 && s.Failed == 1
	})
	background := metav1.DeletePropagationBackground
	jobs.Delete(t.Context(), "train", metav1.DeleteOptions{PropagationPolicy: &background})
}

func TestFaults(t *testing.T) {
	published := Spec{Name: "n3", CPU: 8000, Memory: 1 << 36, GPUs: 2, Model: "Tesla-T4", MemoryMiB: 15360}
	f, _ := runFleet(t, append(counted("n1", "n2"), published))
	ctx := t.Context()

	if err := f.StopNode(ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "a stopped node is tainted as unreachable", func() (string, bool) {
		n, err := client.CoreV1().Nodes().Get(ctx, "n1", metav1.GetOptions{})
		return fmt.Sprint(n.Spec.Taints, err), err == nil && len(n.Spec.Taints) > 0
	})
	bind(t, "stuck", "n1", nil)
	time.Sleep(300 * time.Millisecond)
	if got := phase("stuck"); got != "Pending" {
		t.Errorf("a pod on a stopped node is %s", got)
	}
	if err := f.StartNode(ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	expectPhase(t, "stuck", "Running")

	if err := f.FailGPUs(ctx, "n2", 3); err != nil {
		t.Fatal(err)
	}
	n2, err := client.CoreV1().Nodes().Get(ctx, "n2", metav1.GetOptions{})
	if left := n2.Status.Allocatable[gpuResource]; err != nil || left.Value() != 5 {
		t.Errorf("after three failures n2 offers %v GPUs (%v), want 5", left.Value(), err)
	}

	for _, healthy := range []bool{false, true} {
		if err := f.SetDevice(ctx, "n3", "gpu-1", healthy); err != nil {
			t.Fatal(err)
		}
		list, err := client.ResourceV1().ResourceSlices().List(ctx, metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 {
			t.Fatal(len(list.Items), err)
		}
		if taints := list.Items[0].Spec.Devices[1].Taints; (len(taints) == 0) != healthy {
			t.Errorf("device with healthy=%v has taints %v", healthy, taints)
		}
	}
	if err := f.SetDevice(ctx, "n3", "gpu-9", false); err == nil {
		t.Error("a device that is not there fails without an error")
	}
}

// A node that the node controller gave up, or that was stopped in an earlier
// run, is up again as soon as somebody plays its kubelet.
func TestSilentNodesComeBack(t *testing.T) {
	f, stop := runFleet(t, counted("n1", "n2"))
	ctx := t.Context()
	isReady := func(name string, want bool) {
		t.Helper()
		within(t, 10*time.Second, fmt.Sprintf("%s is to be ready: %v", name, want), func() (string, bool) {
			n, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			return fmt.Sprint(err), err == nil && ready(n) == want
		})
	}
	if err := f.StopNode(ctx, "n1"); err != nil {
		t.Fatal(err)
	}
	if err := f.setReady(ctx, "n2", corev1.ConditionUnknown); err != nil {
		t.Fatal(err)
	}
	isReady("n2", true)
	isReady("n1", false) // it was stopped on purpose
	stop()
	runFleet(t, nil)
	isReady("n1", true)
}
