package simnode

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/remotecommand"
)

func logs(t *testing.T, pod string, options *corev1.PodLogOptions) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := client.CoreV1().Pods("default").GetLogs(pod, options).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	text, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// Simulated pods have logs, which say that they are simulated.
func TestLogs(t *testing.T) {
	_, stop := runFleet(t, counted("n1"))
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "train", Annotations: map[string]string{
			DurationAnnotation: "2s", ExitAnnotation: "3"}},
		Spec: corev1.PodSpec{NodeName: "n1", RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{Name: "main", Image: "busybox", Resources: corev1.ResourceRequirements{
				Limits: corev1.ResourceList{gpuResource: resource.MustParse("2")}}}}},
	}
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	expectPhase(t, "train", "Running")
	want := []string{
		"This is a simulation: node n1 executes nothing, and container main of pod default/train writes no logs.",
		"The pod was granted 2 of the node's GPUs (nvidia.com/gpu).",
		"It runs for 2s, since ",
		"It ended with exit code 3.",
	}
	got := logs(t, "train", &corev1.PodLogOptions{Follow: true})
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("logs that are followed are\n%q, want\n%q", got, want)
	}
	if got := logs(t, "train", &corev1.PodLogOptions{TailLines: new(int64(1))}); !slices.Equal(got, want[3:]) {
		t.Errorf("the last line is %q", got)
	}

	stop() // and the next run is found at the same place
	runFleet(t, nil)
	if got := logs(t, "train", &corev1.PodLogOptions{}); len(got) != 3 || got[0] != want[0] {
		t.Errorf("after a restart, logs are %q", got)
	}
	noExec(t, "train")
}

// noExec tries to execute something in a pod, and expects to be told why
// that cannot be.
func noExec(t *testing.T, pod string) {
	t.Helper()
	request := client.CoreV1().RESTClient().Post().Namespace("default").Resource("pods").Name(pod).SubResource("exec").
		Param("container", "main").Param("command", "ls").Param("stdout", "true")
	exec, err := remotecommand.NewSPDYExecutor(shared.Config(), http.MethodPost, request.URL())
	if err != nil {
		t.Fatal(err)
	}
	err = exec.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "the node is simulated and runs no containers") {
		t.Errorf("executing something in a simulated pod: %v", err)
	}
}
