package status_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/status"
	"github.com/weir-gpu/weir/sched"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 123456, time.UTC)

func uses(granted int64) []sched.Use {
	return []sched.Use{{Owner: "project/ml", Pool: "default", Quota: sched.Amount{GPU: 4 * sched.GPU, CPU: -1, Memory: -1},
		Granted: sched.Amount{GPU: granted}, Running: 3}}
}

// apply writes patches into the board's objects, as the API and the watch do.
func apply(t *testing.T, b *status.Board, p *v1alpha1.Project, patches []status.Patch) *v1alpha1.Project {
	t.Helper()
	next := p.DeepCopy()
	for _, patch := range patches {
		if patch.Resource != "projects" || patch.Name != p.Name {
			t.Errorf("a patch for %s %s", patch.Resource, patch.Name)
		}
		var ops []struct {
			Op, Path string
			Value    v1alpha1.OwnerStatus
		}
		if err := json.Unmarshal(patch.Body, &ops); err != nil || len(ops) != 1 || ops[0].Path != "/status" {
			t.Fatalf("patch %s: %v", patch.Body, err)
		}
		next.Status = ops[0].Value
	}
	b.Set(next)
	return next
}

func differences(t *testing.T, b *status.Board, f status.Facts, now time.Time) []status.Patch {
	t.Helper()
	patches, err := b.Differences(f, now)
	if err != nil {
		t.Fatal(err)
	}
	return patches
}

func TestOnlyChangesAreWritten(t *testing.T) {
	b := status.NewBoard()
	p := &v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: "ml", Generation: 7}}
	b.Set(p)
	facts := status.Facts{Uses: uses(2_500_000)}

	patches := differences(t, b, facts, noon)
	if len(patches) != 1 {
		t.Fatalf("%d patches for a new project", len(patches))
	}
	if again := differences(t, b, facts, noon.Add(time.Second)); len(again) != 0 {
		t.Error("written again before the watch could show it")
	}
	if again := differences(t, b, facts, noon.Add(time.Minute)); len(again) != 1 {
		t.Error("not written again though the API does not show it after a minute")
	}
	p = apply(t, b, p, patches)
	if s := p.Status; s.Total.Granted.GPU != "2.5" || s.Total.Quota.GPU != "4" || s.Total.Quota.CPU != "" ||
		s.ObservedGeneration != 7 || len(s.Pools) != 1 || s.Total.Running != 3 {
		t.Errorf("status %+v", s)
	}
	if again := differences(t, b, facts, noon.Add(time.Hour)); len(again) != 0 {
		t.Errorf("written though nothing changed: %s", again[0].Body)
	}
	if changed := differences(t, b, status.Facts{Uses: uses(0)}, noon.Add(time.Hour)); len(changed) != 1 {
		t.Error("a change is not written")
	}
	b.Delete(p)
	if gone := differences(t, b, facts, noon); len(gone) != 0 {
		t.Error("written though the project is gone")
	}
}

func TestProblemsMakeAnOwnerNotReady(t *testing.T) {
	b := status.NewBoard()
	p := &v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: "ml", Generation: 1}}
	b.Set(p)
	wrong := status.Facts{Problems: map[string]string{"Project/ml": "spec.department names no department"}}
	p = apply(t, b, p, differences(t, b, wrong, noon))
	if c := p.Status.Conditions; len(c) != 2 || c[0].Status != metav1.ConditionFalse ||
		!strings.Contains(c[0].Message, "no department") || c[1].Type != v1alpha1.ConditionStalled {
		t.Errorf("conditions %+v", c)
	}
	later := noon.Add(time.Hour)
	p = apply(t, b, p, differences(t, b, status.Facts{}, later))
	if c := p.Status.Conditions; len(c) != 1 || c[0].Status != metav1.ConditionTrue ||
		!c[0].LastTransitionTime.Time.Equal(later.Truncate(time.Second)) {
		t.Errorf("once it is right: conditions %+v", c)
	}
}

func TestPools(t *testing.T) {
	b := status.NewBoard()
	b.Set(&v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "a100"}})
	b.Set(&v1alpha1.Department{ObjectMeta: metav1.ObjectMeta{Name: "research"}})
	patches := differences(t, b, status.Facts{Pools: map[string]status.Pool{
		"a100": {Nodes: 2, Capacity: sched.Amount{GPU: 16 * sched.GPU, CPU: 64_000}, Granted: sched.Amount{GPU: 500_000}},
	}}, noon)
	if len(patches) != 2 || patches[0].Resource != "departments" || patches[1].Resource != "nodepools" {
		t.Fatalf("patches %+v", patches)
	}
	for _, want := range []string{`"nodes":2`, `"capacity":{"gpu":"16","cpu":"64"`, `"granted":{"gpu":"0.5"`} {
		if !strings.Contains(string(patches[1].Body), want) {
			t.Errorf("%s lacks %s", patches[1].Body, want)
		}
	}
}

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		facts status.Facts
		want  []string
	}{
		"in force": {
			status.Facts{Rules: map[string]status.Rule{"ray": {Workloads: 3}}},
			[]string{`"observedGeneration":4`, `"workloads":3`, `"type":"Ready","status":"True"`, `"message":"in force"`},
		},
		"with an object that it fails on": {
			status.Facts{Notes: map[string]string{"WorkloadRule/ray": "it fails on 1 of the objects"}},
			[]string{`"status":"True"`, `"message":"in force; it fails on 1 of the objects"`},
		},
		"that is no CEL": {
			status.Facts{Problems: map[string]string{"WorkloadRule/ray": "spec.min is not valid CEL"}},
			[]string{`"type":"Ready","status":"False"`, `"type":"Stalled","status":"True"`, `"reason":"Invalid"`,
				`"message":"spec.min is not valid CEL"`},
		},
		"behind another": {
			status.Facts{Rules: map[string]status.Rule{"ray": {Ahead: "a"}}},
			[]string{`"type":"Ready","status":"False"`, `"reason":"Shadowed"`, `"message":"rule a is for the same kind`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := status.NewBoard()
			rule := &v1alpha1.WorkloadRule{ObjectMeta: metav1.ObjectMeta{Name: "ray", Generation: 4}}
			b.Set(rule)
			patches := differences(t, b, c.facts, noon)
			if len(patches) != 1 || patches[0].Resource != "workloadrules" {
				t.Fatalf("patches %+v", patches)
			}
			for _, want := range c.want {
				if !strings.Contains(string(patches[0].Body), want) {
					t.Errorf("%s lacks %s", patches[0].Body, want)
				}
			}
			b.Delete(rule)
			if gone := differences(t, b, c.facts, noon); len(gone) != 0 {
				t.Error("written though the rule is gone")
			}
		})
	}
}
