package replay

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/cluster/simnode"
)

// A cluster that takes every item five seconds late half way through a replay
// of twenty seconds is waited for, once.
func TestPaceWaitsForTheCluster(t *testing.T) {
	p := &pace{start: noon}
	for s := range 21 {
		at := time.Duration(s) * time.Second
		taken := p.due(at).Add(slack) // as late as does not count
		if s == 10 {
			taken = taken.Add(5*time.Second - slack)
		}
		p.taken(at, taken)
	}
	if got := p.behind(); got != 5*time.Second {
		t.Errorf("the clock stood still for %v, want 5s", got)
	}
	if got := p.due(20 * time.Second); !got.Equal(after(25)) {
		t.Errorf("the item of second 20 is due at %v, want second 25", got)
	}
	if got := p.slower(); got != 1.25 {
		t.Errorf("the replay takes %v times as long, want 1.25", got)
	}
}

func TestStretch(t *testing.T) {
	pod := object("ml", "p", "", corev1.PodPending)
	pod.Annotations = map[string]string{simnode.DurationAnnotation: "1m0s"}
	job := &batchv1.Job{}
	job.Spec.Template.Annotations = map[string]string{simnode.DurationAnnotation: "1m0s"}
	for _, o := range []Object{pod, job, object("ml", "endless", "", corev1.PodPending)} {
		stretch(o, 1.5)
		stretch(o, 1)
	}
	for _, got := range []string{
		pod.Annotations[simnode.DurationAnnotation], job.Spec.Template.Annotations[simnode.DurationAnnotation],
	} {
		if got != "1m30s" {
			t.Errorf("a minute by one and a half is %q", got)
		}
	}
}
