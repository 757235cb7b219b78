package admit

import (
	"encoding/json"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/kube/ask"
)

// TestPatchedPods: for every pod of the stories that is let through, the patch
// applies, the pod still asks for what it asked for, and asking again changes
// nothing more.
func TestPatchedPods(t *testing.T) {
	h := Handler(sample(&made{}))
	for _, s := range stories(t, "testdata/pods.yaml") {
		r := s.request(t)
		first := send(t, h, r)
		if !first.Allowed || first.Patch == nil {
			continue
		}
		before := podOf(t, r.Object.Raw)
		patch, err := jsonpatch.DecodePatch(first.Patch)
		if err != nil {
			t.Fatalf("%s: %v", s.Case, err)
		}
		if r.Object.Raw, err = patch.Apply(r.Object.Raw); err != nil {
			t.Fatalf("%s: %v", s.Case, err)
		}
		after := podOf(t, r.Object.Raw)
		if after.Spec.SchedulerName != ask.SchedulerName {
			t.Errorf("%s: the scheduler is %q", s.Case, after.Spec.SchedulerName)
		}
		want, err := ask.FromPod(before, nil)
		if err == nil {
			got, err := ask.FromPod(after, nil)
			if err != nil || got.Devices != want.Devices || got.Part != want.Part {
				t.Errorf("%s: the pod asks for %+v, %v; before for %+v", s.Case, got, err, want)
			}
		}
		if again := send(t, h, r); !again.Allowed || again.Patch != nil {
			t.Errorf("%s: asked again: %+v", s.Case, again)
		}
	}
}

func podOf(t *testing.T, raw []byte) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}
