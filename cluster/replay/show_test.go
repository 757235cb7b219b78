package replay

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// story is a board on which a good deal happened.
func story() *board {
	pod := func(project, name string) Item { return Item{Project: project, Name: name, Pods: 1} }
	items := []Item{
		pod("batch", "a"), pod("batch", "b"), pod("batch", "c"), pod("assistant", "serve"), pod("batch", "bad"),
		{Project: "foundation", Name: "pretrain", Pods: 2},
	}
	b := newBoard(noon, items)
	for i := range items {
		var err error
		if items[i].Name == "bad" {
			err = errors.New("weir.dev/gpu-fraction is 2: write a number above 0 and at most 1")
		}
		b.submit(&items[i], err)
	}
	for _, p := range []*v1alpha1.Project{
		owner("batch", "1", "3", "2", ""), owner("assistant", "4", "1", "", "2"),
		owner("foundation", "2.5", "0", "", "0.5"),
	} {
		b.use(p)
	}
	b.use(owner("batch", "1", "2", "1", ""))
	for _, name := range []string{"a", "b", "c"} {
		b.pod(object("batch", name, "n1", corev1.PodRunning), after(1))
	}
	b.podGone(object("batch", "c", "n1", corev1.PodRunning), after(60))
	b.pod(object("assistant", "serve", "n1", corev1.PodSucceeded), after(62))
	again := object("batch", "c-again", "", corev1.PodPending)
	b.pod(waits(again, "OverQuota", "it would take 1 GPU of 0 left"), after(63))
	for _, name := range []string{"pretrain-0", "pretrain-1"} {
		b.pod(waits(object("foundation", name, "", corev1.PodPending), "NotEnoughGPUs",
			"it needs 2 × 8 GPUs, and no node has more than 4 free"), after(64))
	}
	b.event(event("batch", "c", "Reclaimed", 60, "Stopped by Weir: it ran on GPUs borrowed from project assistant."))
	b.event(event("batch", "d", "Preempted", 61, "Stopped by Weir: batch/b of the same project has a higher priority."))
	b.event(event("batch", "earlier", "Reclaimed", -5, "of an earlier replay"))
	return b
}

func owner(name, quota, granted, borrowed, lent string) *v1alpha1.Project {
	p := &v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: name}}
	p.Status.Total = v1alpha1.Use{
		Quota: v1alpha1.Figures{GPU: quota}, Granted: v1alpha1.Figures{GPU: granted},
		Borrowed: v1alpha1.Figures{GPU: borrowed}, Lent: v1alpha1.Figures{GPU: lent},
	}
	return p
}

func object(namespace, name, node string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name)},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{Phase: phase},
	}
}

func waits(pod *corev1.Pod, reason, message string) *corev1.Pod {
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message,
	}}
	return pod
}

func event(namespace, pod, reason string, second int, note string) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{UID: types.UID(pod + reason)},
		Regarding:  corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod},
		Reason:     reason, Note: note, EventTime: metav1.NewMicroTime(after(second)),
	}
}

func TestWhatPeopleSee(t *testing.T) {
	b := story()
	report := b.report(after(65))
	latest, _ := b.last()
	var text, terminal, table strings.Builder
	lines := screen{out: &text}
	redrawn := screen{out: &terminal, terminal: true}
	for range 2 {
		for _, s := range []*screen{&lines, &redrawn} {
			if err := s.draw(report, latest, 16); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := printReport(&table, report); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"lines": text.String(), "report": table.String(),
		"terminal": strings.ReplaceAll(terminal.String(), "\x1b", "ESC"),
	} {
		golden(t, name, got)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

func TestEvictedPodsAreSubmittedAgain(t *testing.T) {
	b := newBoard(noon, []Item{{Project: "ml", Name: "train", Pods: 1}, {Project: "ml", Name: "job", Pods: 2}})
	for _, test := range []struct {
		what string
		pod  *corev1.Pod
		want bool
	}{
		{"a pod that ran", object("ml", "train", "n1", corev1.PodRunning), true},
		{"a pod that waited", object("ml", "train", "", corev1.PodPending), true},
		{"a pod that ended", object("ml", "train", "n1", corev1.PodSucceeded), false},
		{"a pod of a job, which has its controller", object("ml", "job-x7f2k", "n1", corev1.PodRunning), false},
		{"a pod of somebody else", object("other", "train", "n1", corev1.PodRunning), false},
	} {
		b.pod(test.pod, after(1))
		if got := b.podGone(test.pod, after(2)) != nil; got != test.want {
			t.Errorf("%s is submitted again: %v, want %v", test.what, got, test.want)
		}
	}
}

func TestOver(t *testing.T) {
	const patience = 30 * time.Second
	for _, test := range []struct {
		what  string
		r     Report
		quiet time.Duration
		want  bool
	}{
		{"all are placed", Report{Pods: 3, Placed: 3}, 0, true},
		{"one waits", Report{Pods: 3, Placed: 2, Waiting: 1}, 0, false},
		{"one waits in vain", Report{Pods: 3, Placed: 2, Waiting: 1}, patience, true},
		{"one is yet to come", Report{Pods: 3, Placed: 2}, 0, false},
		{"one was refused", Report{Pods: 3, Placed: 1, Refused: []Refusal{{Pods: 2}}}, 0, true},
	} {
		if got := over(&test.r, test.quiet, patience); got != test.want {
			t.Errorf("%s: over is %v, want %v", test.what, got, test.want)
		}
	}
}
