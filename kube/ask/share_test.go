package ask

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	_ "github.com/weir-gpu/weir/test/seed"
)

func quantity(s string) *resource.Quantity {
	q := resource.MustParse(s)
	return &q
}

// anyPart draws a part that words can say.
func anyPart(t *rapid.T) sched.Part {
	var p sched.Part
	above := func(label string, request, most int64) int64 {
		if !rapid.Bool().Draw(t, label) {
			return 0
		}
		return rapid.Int64Range(request, most).Draw(t, label)
	}
	kind := rapid.SampledFrom([]string{"fraction", "memory", "memory+fraction", "memory+compute"}).Draw(t, "kind")
	if kind == "fraction" || kind == "memory+fraction" {
		p.Fraction = rapid.Int64Range(1, sched.GPU).Draw(t, "fraction")
		p.LimitFraction = above("fraction limit", p.Fraction, sched.GPU)
	}
	if kind != "fraction" {
		p.MemoryMiB = rapid.Int64Range(1, 1<<30).Draw(t, "memory")
		p.LimitMemoryMiB = above("memory limit", p.MemoryMiB, 1<<30)
	}
	if kind == "memory+compute" {
		p.ComputeMilli = rapid.Int64Range(1, sched.WholeCompute).Draw(t, "compute")
		p.LimitComputeMilli = above("compute limit", p.ComputeMilli, sched.WholeCompute)
	}
	return p
}

func TestConfigSaysWhatTheShapeIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyPart(t)
		c, ok := Shape{Devices: 1, Part: want}.Config()
		if !ok {
			t.Fatal("no config")
		}
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseShareConfig(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := back.Part(); err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v from %s", got, err, want, raw)
		}
	})
}

func TestTemplateNamesTellShapesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Shape{rapid.IntRange(1, 3).Draw(t, "a"), anyPart(t), nil}
		b := Shape{rapid.IntRange(1, 3).Draw(t, "b"), anyPart(t), nil}
		same := a.Devices == b.Devices && a.Part == b.Part
		if got := a.TemplateName() == b.TemplateName(); got != same {
			t.Fatalf("%+v and %+v: equal names %v", a, b, got)
		}
	})
}

func TestTemplateNameIsStable(t *testing.T) {
	half := Shape{1, sched.Part{Fraction: sched.GPU / 2}, []string{"A100"}}
	if got, want := half.TemplateName(), "weir-gpu-324199393c613c1e"; got != want {
		t.Errorf("got %s; want %s: claims in clusters refer to templates by these names", got, want)
	}
}

// FuzzShareWords feeds texts to every word about shares: whatever they are,
// FromPod answers, and what it takes for valid is in range.
func FuzzShareWords(f *testing.F) {
	f.Add("0.5", "10Gi", "2", "0.3", "A100")
	f.Add("1.0000001", "-1", "0", "", ",")
	f.Add(".", "1e99999999Gi", "+1", "..", "\x00")
	f.Fuzz(func(t *testing.T, fraction, memory, devices, compute, models string) {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}}}
		for name, v := range map[string]string{
			GPUFraction: fraction, GPUMemory: memory, GPUDevices: devices, GPUCompute: compute, GPUModels: models,
		} {
			if v != "-" {
				pod.Annotations[name] = v
			}
		}
		a, err := FromPod(pod, nil)
		if err != nil {
			return
		}
		p := a.Part
		if a.Devices < 0 || a.Devices > MaxDevices || p.Fraction < 0 || p.Fraction > sched.GPU || p.MemoryMiB < 0 ||
			p.ComputeMilli < 0 || p.ComputeMilli > sched.WholeCompute {
			t.Errorf("out of range: %+v from %v", a, pod.Annotations)
		}
	})
}
