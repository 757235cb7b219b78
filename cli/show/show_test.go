package show

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/weir-gpu/weir/cli/internal/fixture"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/kube/plan/result"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func find(v *snapshot.View, ref string) snapshot.Workload {
	w := v.Find("ml", ref)[0]
	v.Fill(&w)
	return w
}

func wholeH100(name string) result.Device {
	return result.Device{Device: name, MemoryMiB: 81559, ComputeMilli: 1000}
}

var planned = &result.Plan{
	Decisions: []result.Decision{
		{Action: "evict", Pod: "ml/tune-0", For: "speech/asr", Rule: "reclaim"},
		{Action: "move", Pod: "ml/tune-1", Node: "n2", Devices: []result.Device{wholeH100("gpu-1")},
			For: "speech/asr", Rule: "consolidate"},
		{Action: "start", Pod: "speech/asr-0", Node: "n1", After: []string{"ml/tune-0"},
			Devices: []result.Device{wholeH100("gpu-0"), {Device: "gpu-1", MemoryMiB: 40960, ComputeMilli: 500}}},
	},
	Waiting: []result.Waiting{{Workload: "ml/llm", Reason: "OverQuota", Message: "Project vision has used its quota."}},
}

func TestGolden(t *testing.T) {
	v := fixture.View()
	for i := range v.Workloads {
		v.Fill(&v.Workloads[i])
	}
	plain := text.Palette{}
	happened := []Event{
		{Time: fixture.Now.Add(-time.Hour), Object: "Job llm", Reason: "Waiting", Message: "Waits for 8 GPUs."},
		{Time: fixture.Now.Add(-time.Minute), Object: "Pod llm-0", Reason: "Evicted", Warning: true, Count: 2,
			Message: "Given back to project speech."},
	}
	pages := map[string]func(*bytes.Buffer) error{
		"list": func(b *bytes.Buffer) error { return List(b, plain, v.Workloads, ListOptions{Now: fixture.Now}) },
		"list-wide": func(b *bytes.Buffer) error {
			return List(b, plain, v.Workloads, ListOptions{Now: fixture.Now, Wide: true, Namespaces: true})
		},
		"describe-waiting": func(b *bytes.Buffer) error { return Describe(b, plain, find(v, "llm"), happened, fixture.Now) },
		"describe-running": func(b *bytes.Buffer) error { return Describe(b, plain, find(v, "tune"), nil, fixture.Now) },
		"describe-build":   func(b *bytes.Buffer) error { return Describe(b, plain, find(v, "dev"), nil, fixture.Now) },
		"describe-part":    func(b *bytes.Buffer) error { return Describe(b, plain, find(v, "chat"), nil, fixture.Now) },
		"explain-limit":    func(b *bytes.Buffer) error { return Explain(b, plain, fixture.Explanations[0]) },
		"explain-short":    func(b *bytes.Buffer) error { return Explain(b, plain, fixture.Explanations[2]) },
		"explain-nested":   func(b *bytes.Buffer) error { return Explain(b, plain, fixture.Explanations[1]) },
		"explain-running":  func(b *bytes.Buffer) error { return Explain(b, plain, fixture.Explanations[3]) },
		"explain-suspend":  func(b *bytes.Buffer) error { return Explain(b, plain, fixture.Explanations[4]) },
		"nodes":            func(b *bytes.Buffer) error { return Nodes(b, plain, v.Nodes, false) },
		"nodes-wide":       func(b *bytes.Buffer) error { return Nodes(b, plain, v.Nodes, true) },
		"nodes-devices":    func(b *bytes.Buffer) error { return NodeDevices(b, plain, v.Nodes, true) },
		"node":             func(b *bytes.Buffer) error { return Node(b, plain, v.Nodes[0]) },
		"node-counted":     func(b *bytes.Buffer) error { return Node(b, plain, v.Nodes[1]) },
		"pools":            func(b *bytes.Buffer) error { return Pools(b, plain, v.Pools) },
		"owners":           func(b *bytes.Buffer) error { return Owners(b, plain, v.Owners, false) },
		"owners-wide":      func(b *bytes.Buffer) error { return Owners(b, plain, v.Owners, true) },
		"owner-department": func(b *bytes.Buffer) error { return Owner(b, plain, v.Owners[0], v) },
		"owner-project":    func(b *bytes.Buffer) error { return Owner(b, plain, v.Owners[2], v) },
		"plan":             func(b *bytes.Buffer) error { return Plan(b, plain, planned) },
		"plan-empty":       func(b *bytes.Buffer) error { return Plan(b, plain, &result.Plan{}) },
		"top":              func(b *bytes.Buffer) error { return NewTop(v, 10).Write(b, plain) },
		"top-problems": func(b *bytes.Buffer) error {
			v := fixture.View()
			v.Problems = []snapshot.Problem{
				{Kind: "Project", Name: "nlp", Message: "spec.department names research-2, which does not exist"},
				{Kind: "Pod", Name: "ml/x", Message: "is in the queue"},
			}
			return NewTop(v, 0).Write(b, plain)
		},
		"top-cut": func(b *bytes.Buffer) error { return NewTop(v, 1).Write(b, plain) },
	}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := page(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", b.Bytes())
		})
	}
}

func TestDevices(t *testing.T) {
	whole := func(names ...string) (s []snapshot.Share) {
		for _, n := range names {
			s = append(s, snapshot.Share{Device: n, MemoryMiB: 81559, ComputeMilli: 1000})
		}
		return s
	}
	for _, tc := range []struct {
		shares []snapshot.Share
		want   string
	}{
		{nil, ""},
		{whole("", ""), "2 GPUs"},
		{whole("gpu-0"), "gpu-0"},
		{whole("gpu-0", "gpu-1"), "gpu-0,gpu-1"},
		{whole("gpu-0", "gpu-1", "gpu-2", "gpu-5"), "gpu-0..2,gpu-5"},
		{whole("GPU-abc", "GPU-abd", "GPU-abe"), "GPU-abc,GPU-abd,GPU-abe"},
		{[]snapshot.Share{{Device: "gpu-3", MemoryMiB: 40960, ComputeMilli: 125}}, "gpu-3 (40Gi, 12.5% compute)"},
	} {
		if got := Devices(tc.shares); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (rewrite with -update):\n%s", path, got)
	}
}
