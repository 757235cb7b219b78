package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/cli/internal/fixture"
	"github.com/weir-gpu/weir/cli/snapshot"
)

// film shows one view after the other and stops when there are no more.
func (b *bench) film(views ...*snapshot.View) {
	at := 0
	b.parts.Snapshot = func(context.Context, Clients, time.Time) (*snapshot.View, error) {
		return views[min(at, len(views)-1)], nil
	}
	b.pause = func(context.Context, time.Duration) error {
		if at++; at >= len(views) {
			return context.Canceled
		}
		return nil
	}
}

// with is the cluster of the fixture after a change.
func with(change func(*snapshot.View)) *snapshot.View {
	v := fixture.View()
	change(v)
	return v
}

func workload(v *snapshot.View, id string) *snapshot.Workload {
	for i := range v.Workloads {
		if v.Workloads[i].ID == id {
			return &v.Workloads[i]
		}
	}
	panic("there is no " + id)
}

func TestListWatchPrintsWhatChanges(t *testing.T) {
	b := newBench(t)
	b.film(fixture.View(), fixture.View(),
		with(func(v *snapshot.View) { workload(v, "ml/pod/dev").Status = snapshot.Running }),
		with(func(v *snapshot.View) { v.Workloads = v.Workloads[:4] }))
	code, out, stderr := b.run("list", "--watch")
	if code != exitStopped {
		t.Errorf("exit %d: %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 7 || !strings.Contains(lines[6], "dev") || !strings.Contains(lines[6], "Running") {
		t.Errorf("after the heading and five workloads, one change has to be printed:\n%s", out)
	}
	if want := "ml/pod/dev is gone from the list\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
}

func TestSubmitWatchFollowsUntilItRuns(t *testing.T) {
	fresh := func(status snapshot.Status) *snapshot.View {
		return with(func(v *snapshot.View) {
			w := *workload(v, "ml/job/llm")
			w.ID, w.Name, w.Status = "ml/job/new", "new", status
			v.Workloads = append(v.Workloads, w)
			v.Explain = nil
		})
	}
	for _, tc := range []struct {
		end  snapshot.Status
		code int
		want string
	}{
		{snapshot.Running, exitOK, "Waiting\nStarting\nRunning\n"},
		{snapshot.Failed, exitFailure, "Waiting\nStarting\nFailed\n"},
	} {
		b := newBench(t)
		b.film(fixture.View(), fresh(snapshot.Waiting), fresh(snapshot.Waiting), fresh(snapshot.Starting), fresh(tc.end))
		code, out, stderr := b.run("submit", "train", "new", "--image", "i", "--watch")
		var states strings.Builder
		for _, line := range strings.Split(strings.TrimSpace(out), "\n")[1:] {
			_, state, _ := strings.Cut(line, "  ")
			states.WriteString(state + "\n")
		}
		if code != tc.code || states.String() != tc.want {
			t.Errorf("exit %d, want %d: %q, want %q: %s", code, tc.code, states.String(), tc.want, stderr)
		}
	}
}
