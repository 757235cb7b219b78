package ask

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/sched"
)

func meta(annotations map[string]string) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{Annotations: annotations}
}

func TestReadWords(t *testing.T) {
	owner := meta(map[string]string{
		Kind: "infer", Priority: "70", MinPods: "4", MinRuntime: "90s", NodePool: "a100, h100", Suspend: "true",
	})
	pod := meta(map[string]string{Kind: "train", Project: "nlp", Preemptible: "true", MaxMoves: "0"})
	pod.Labels = map[string]string{Project: "vision", MinPods: "2"}
	got, err := ReadWords(owner, pod)
	want := Words{
		Project: "nlp", Pools: []string{"a100", "h100"}, Kind: sched.Infer, Preemptible: new(true),
		Priority: new(int32(70)), MinPods: new(4), MinRuntime: new(int64(90_000)), MaxMoves: new(0), Suspend: new(true),
	}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got, err := ReadWords(); err != nil || !cmp.Equal(got, Words{}) {
		t.Errorf("nothing written: got %+v, %v", got, err)
	}
}

func TestWrongWorkloadWords(t *testing.T) {
	var got strings.Builder
	for _, c := range []struct{ word, value string }{
		{Project, ""},
		{NodePool, "a,,b"},
		{Kind, "batch"},
		{Preemptible, "yes"},
		{Priority, "high"},
		{Priority, "3000000000"},
		{MinPods, "0"},
		{MinRuntime, "5"},
		{MinRuntime, "-5m"},
		{Runtime, "long"},
		{MaxMoves, "-1"},
		{Suspend, "1"},
	} {
		_, err := ReadWords(meta(map[string]string{c.word: c.value}))
		fmt.Fprintf(&got, "%s: %q\n    %v\n", c.word, c.value, err)
	}
	golden(t, "wrong-workload-words", got.String())
}

func TestOneWrongWordLeavesTheOthers(t *testing.T) {
	got, err := ReadWords(meta(map[string]string{Kind: "batch", Priority: "x", Project: "nlp"}))
	if got.Project != "nlp" || got.Kind != "" || got.Priority != nil {
		t.Errorf("got %+v", got)
	}
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v; want two errors", err)
	}
}

func TestModelMatches(t *testing.T) {
	for _, c := range []struct {
		asked, model string
		want         bool
	}{
		{"NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-80GB-HBM3", true},
		{"h100", "NVIDIA-H100-80GB-HBM3", true},
		{"H100-80GB", "NVIDIA-H100-80GB-HBM3", true},
		{"nvidia h100", "NVIDIA-H100-80GB-HBM3", true},
		{"H10", "NVIDIA-H100-80GB-HBM3", false},
		{"A100", "NVIDIA-A1000", false},
		{"H100-HBM3", "NVIDIA-H100-80GB-HBM3", false},
		{"-", "NVIDIA-H100-80GB-HBM3", false},
		{"A100", "", false},
	} {
		if got := ModelMatches(c.asked, c.model); got != c.want {
			t.Errorf("ModelMatches(%q, %q) = %v", c.asked, c.model, got)
		}
	}
}

func TestMisspeltWords(t *testing.T) {
	obj := meta(map[string]string{
		"weir.dev/gpu-fracton": "0.5", GPUFraction: "0.5", "weir.dev/sim-duration": "5m", "gpu-fracton": "1",
	})
	obj.Labels = map[string]string{"weir.dev/projects": "nlp", "app": "x"}
	got := MisspeltWords(obj)
	want := []Misspelt{{"weir.dev/gpu-fracton", GPUFraction}, {"weir.dev/projects", Project}}
	if !cmp.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestContainer(t *testing.T) {
	pod := podOf(t, `
metadata: {annotations: {gpu-fraction-container-name: main}}
spec: {containers: [{name: log}, {name: main}]}
`)
	if i, err := Container(pod); i != 1 || err != nil {
		t.Errorf("got %d, %v; want 1", i, err)
	}
	pod.Annotations = map[string]string{GPUContainer: "mian"}
	want := `weir.dev/gpu-container "mian" is not a container of the pod; write one of log, main`
	if _, err := Container(pod); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	pod.Annotations = nil
	if i, err := Container(pod); i != 0 || err != nil {
		t.Errorf("got %d, %v; want the first", i, err)
	}
}
