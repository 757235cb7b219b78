package state

import (
	"fmt"
	"strings"
	"testing"
)

// ranPods are pods of namespace ml that ended well, each after so many minutes.
func ranPods(name string, minutes ...int) string {
	var all strings.Builder
	for i, m := range minutes {
		all.WriteString(weirPod(fmt.Sprint(name, "-", i), "nodeName: n1,", fmt.Sprintf(`
 status: {phase: Succeeded, startTime: "2026-11-22T00:00:00Z", containerStatuses: [
 {name: main, state: {terminated: {finishedAt: "2026-11-22T%02d:%02d:00Z", exitCode: 0}}}]}`, m/60, m%60)))
	}
	return all.String()
}

const shortest = `
---
{apiVersion: weir.dev/v1alpha1, kind: Project, metadata: {name: ml}, spec: {department: research,
 discipline: shortest, pools: [{quota: {gpu: 4}}]}}
`

// TestExpectedTimes asks what a workload of one pod, train-9, is expected to
// need, in minutes of GPU time. What is learned is rounded to powers of two of
// a millisecond.
func TestExpectedTimes(t *testing.T) {
	const hour, about10, about100 = 60 * 60_000, 1 << 20, 1 << 23
	annotated := func(words string) string {
		return strings.Replace(weirPod("train-9", "", ""), "uid: uid-train-9", "uid: u, annotations: {"+words+"}", 1)
	}
	for _, tt := range []struct {
		name, objects string
		want          int64
	}{
		{"nobody knows", weirPod("train-9", "", ""), 0},
		{"somebody wrote it", annotated(`weir.dev/expected-runtime: 1h`), hour},
		{"of half a device", strings.Replace(annotated(`weir.dev/expected-runtime: 1h, weir.dev/gpu-fraction: "0.5"`),
			"limits: {nvidia.com/gpu: 1}", "limits: {cpu: 1}", 1), hour / 2},
		{"what is written goes before what is learned",
			shortest + ranPods("train", 9, 10, 12) + annotated(`weir.dev/expected-runtime: 1h`), hour},
		{"two are too few", shortest + ranPods("train", 9, 10) + weirPod("train-9", "", ""), 0},
		{"as the median of its like", shortest + ranPods("train", 9, 10, 90) + weirPod("train-9", "", ""), about10},
		{"closer ones go first", shortest + ranPods("train", 9, 10, 12) + ranPods("eval", 100, 100, 100, 100) +
			weirPod("train-9", "", ""), about10},
		{"or as others of its project", shortest + ranPods("eval", 100, 100, 100) + weirPod("train-9", "", ""), about100},
		{"whatever came first", weirPod("train-9", "", "") + ranPods("train", 9, 10, 12) + shortest, about10},
		{"not where age counts", ranPods("train", 9, 10, 12) + weirPod("train-9", "", ""), 0},
		{"failures teach nothing",
			shortest + strings.ReplaceAll(ranPods("train", 9, 10, 12), "Succeeded", "Failed") + weirPod("train-9", "", ""), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := objects(t, ground+tt.objects)
			s, l := tellAll(t, all)
			p := l.pods["ml/train-9"]
			if p == nil {
				t.Fatalf("the engine does not know train-9: %v", s.Problems())
			}
			if got := l.workloads[p.workload].Expected; got != tt.want {
				t.Errorf("%d is expected, want %d", got, tt.want)
			}
			for _, o := range all {
				l.apply(s.Delete(o))
			}
			if len(s.projects) > 0 {
				t.Errorf("left behind: %+v", s.projects)
			}
		})
	}
}

// TestExpectationsFollowWhatEnds tells a waiting workload anew when its like
// turn out to take longer, and not when they take as long as before.
func TestExpectationsFollowWhatEnds(t *testing.T) {
	s, l := tellAll(t, objects(t, ground+shortest+ranPods("train", 9, 10, 12)+weirPod("new-1", "", "")))
	told := func(more string) int {
		before := l.events
		for _, o := range objects(t, more) {
			l.apply(s.Set(o))
		}
		return l.events - before
	}
	if n := told(ranPods("again", 10, 11)); n != 0 {
		t.Errorf("%d events are told of what is no news", n)
	}
	if n := told(ranPods("long", 100, 100, 100, 100, 100, 100, 100)); n != 1 {
		t.Errorf("%d events are told, want one: that new-1 takes longer", n)
	}
}
