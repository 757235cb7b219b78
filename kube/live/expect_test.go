package live

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/watch"
)

func densePool(rule v1alpha1.PlacementRule) *v1alpha1.NodePool {
	return &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultPool},
		Spec: v1alpha1.NodePoolSpec{Placement: v1alpha1.Placement{GPU: rule}}}
}

// alike is how many numbered pods ask for one GPU; those after them ask for two.
const alike = 80

func numbered(n int) *corev1.Pod {
	p := wholePod()
	p.Name, p.UID = fmt.Sprintf("p%d", n), types.UID(fmt.Sprint(n))
	if n > alike {
		p.Spec.Containers[0].Resources.Limits[ask.WholeGPU] = resource.MustParse("2")
	}
	return p
}

// expected plays a decision and returns what the engine was told to expect.
func (s *stage) expected() []string {
	s.decide(s.Context())
	told := slices.DeleteFunc(s.engine.told, func(what string) bool { return !strings.HasPrefix(what, "expect ") })
	s.engine.told = nil
	return told
}

// Where a pool is dense, the engine is told what pods are like: at the start
// those that exist, then again when a quarter more came and they are others. Each
// telling is logged.
func TestEngineIsToldWhatToExpect(t *testing.T) {
	s := newStage(t)
	var log bytes.Buffer
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	came := 0
	for _, act := range []struct {
		pods int
		pool v1alpha1.PlacementRule // what it becomes; "" is gone
		told string
	}{
		{alike, v1alpha1.Pack, "[]"},
		{0, v1alpha1.Dense, "[expect 1]"},
		{19, v1alpha1.Dense, "[]"},
		{1, v1alpha1.Dense, "[expect 2]"},
		{1, v1alpha1.Dense, "[]"},
		{0, "", "[expect 0]"}, // what was told is taken back
		{100, "", "[]"},
	} {
		for range act.pods {
			came++
			s.show(numbered(came))
		}
		if act.pool == "" {
			s.take(&watch.Change{Object: densePool(""), Gone: true})
		} else {
			s.show(densePool(act.pool))
		}
		if told := fmt.Sprint(s.expected()); told != act.told {
			t.Errorf("after %d pods, placed by %q, the engine was told %s, want %s", came, act.pool, told, act.told)
		}
	}
	if n := strings.Count(log.String(), "what pods to expect"); n != 3 {
		t.Errorf("three tellings are logged %d times:\n%s", n, &log)
	}
}

// A pod of one GPU would go to the first node, which is empty; but nearly all
// pods take whole nodes, and it is the last. A plan says so too.
func TestLiveAndPlanExpectTheSame(t *testing.T) {
	var text strings.Builder
	text.WriteString(`
{apiVersion: weir.dev/v1alpha1, kind: NodePool, metadata: {name: default}, spec: {placement: {gpu: dense}}}
---
{apiVersion: weir.dev/v1alpha1, kind: Project, metadata: {name: ml}, spec: {pools: [{name: default, quota: {gpu: 1000}}]}}
`)
	node := func(name string) {
		fmt.Fprintf(&text, `---
{apiVersion: v1, kind: Node, metadata: {name: %s}, status: {allocatable: {cpu: 64, pods: 110, nvidia.com/gpu: 8}}}
`, name)
	}
	pod := func(name, node string, gpus int) {
		fmt.Fprintf(&text, `---
{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: ml}, spec: {schedulerName: weir, nodeName: %q,
  containers: [{name: main, image: example.com/main, resources: {limits: {nvidia.com/gpu: %d}}}]}}
`, name, node, gpus)
	}
	for i := range 70 {
		node(fmt.Sprint("full-", i))
		pod(fmt.Sprint("large-", i), fmt.Sprint("full-", i), 8)
	}
	node("a")
	node("b")
	pod("small-0", "b", 4)
	pod("small-1", "", 1)
	file := filepath.Join(t.TempDir(), "dense.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	result, objects, refused := planOf(t, file)
	if refused || len(result.Decisions) != 1 || result.Decisions[0].Node != "b" {
		t.Fatalf("refused %v, planned %+v, want a start on b", refused, result)
	}
	newRehearsal(t, objects).compare(result)
}
