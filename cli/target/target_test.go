package target

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func named(name string, owner ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: name, Namespace: "ml"}
	if len(owner) > 0 {
		m.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: owner[0], Kind: owner[1], Name: owner[2], Controller: new(true),
		}}
	}
	return m
}

func TestFindFollowsControllersUpwards(t *testing.T) {
	c := fake.NewClientset(
		&corev1.Pod{ObjectMeta: named("dev")},
		&batchv1.Job{ObjectMeta: named("llm")},
		&corev1.Pod{ObjectMeta: named("llm-1", "batch/v1", "Job", "llm")},
		&corev1.Pod{ObjectMeta: named("llm-0", "batch/v1", "Job", "llm")},
		&appsv1.Deployment{ObjectMeta: named("chat")},
		&appsv1.ReplicaSet{ObjectMeta: named("chat-abc", "apps/v1", "Deployment", "chat")},
		&corev1.Pod{ObjectMeta: named("chat-abc-x", "apps/v1", "ReplicaSet", "chat-abc")},
		&batchv1.CronJob{ObjectMeta: named("nightly")},
		&batchv1.Job{ObjectMeta: named("nightly-1", "batch/v1", "CronJob", "nightly")},
		&batchv1.Job{ObjectMeta: named("set-0", "jobset.x-k8s.io/v1alpha2", "JobSet", "set")},
		&appsv1.StatefulSet{ObjectMeta: named("dev")},
	)
	x, err := Read(t.Context(), c, "ml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		kind, name string
		want       []string
		pods       int
	}{
		{"", "llm", []string{"ml/job/llm"}, 2},
		{"", "llm-0", []string{"ml/job/llm"}, 2},
		{"pod", "llm-0", []string{"ml/job/llm"}, 2},
		{"", "chat-abc-x", []string{"ml/deployment/chat"}, 1},
		{"", "chat-abc", nil, 0},
		{"", "nightly", []string{"ml/cronjob/nightly"}, 0},
		{"", "set", []string{"ml/jobset/set"}, 0},
		{"", "dev", []string{"ml/pod/dev", "ml/statefulset/dev"}, 1},
		{"pod", "dev", []string{"ml/pod/dev"}, 1},
		{"job", "chat", nil, 0},
	} {
		found := x.Find(tc.kind, tc.name)
		if len(found) != len(tc.want) {
			t.Errorf("Find(%q, %q) = %d objects, want %q", tc.kind, tc.name, len(found), tc.want)
			continue
		}
		for i, o := range found {
			if o.ID() != tc.want[i] {
				t.Errorf("Find(%q, %q)[%d] = %s, want %s", tc.kind, tc.name, i, o.ID(), tc.want[i])
			}
		}
		if len(found) > 0 && len(found[0].Pods) != tc.pods {
			t.Errorf("Find(%q, %q) has %d pods, want %d", tc.kind, tc.name, len(found[0].Pods), tc.pods)
		}
	}
}
