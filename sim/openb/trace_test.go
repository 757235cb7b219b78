package openb

import (
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// The embedded files are the published ones.
func TestEmbeddedTrace(t *testing.T) {
	nodes, err := Nodes()
	if err != nil {
		t.Fatal(err)
	}
	gpus := map[string]int64{}
	var all int64
	for _, n := range nodes {
		gpus[n.Model] += n.GPUs
		all += n.GPUs
		if _, ok := GPUMemoryMiB(n.Model); !ok {
			t.Errorf("the memory of model %q is not known", n.Model)
		}
	}
	want := map[string]int64{"G2": 4392, "T4": 842, "G3": 312, "P100": 265, "V100M32": 204, "V100M16": 195, "A10": 2}
	if len(nodes) != 1213 || all != 6212 || !reflect.DeepEqual(gpus, want) {
		t.Errorf("%d nodes with %d GPUs: %v", len(nodes), all, gpus)
	}

	pods, err := Pods()
	if err != nil {
		t.Fatal(err)
	}
	var micro, last int64
	for _, p := range pods {
		micro += p.MicroGPU()
		last = max(last, p.Created)
	}
	if len(pods) != 8152 || micro != 6_086_800_000 || last != playedUntil {
		t.Errorf("%d pods for %d micro-GPUs, the last at %d s", len(pods), micro, last)
	}
}

func TestNodeObject(t *testing.T) {
	node := Node{"openb-node-0000", 64000, 262144, 2, "P100"}.Object()
	want := map[string]string{
		"kubernetes.io/hostname": "openb-node-0000",
		"nvidia.com/gpu.product": "P100",
		"nvidia.com/gpu.memory":  "16280",
		"nvidia.com/gpu.count":   "2",
	}
	if !reflect.DeepEqual(node.Labels, want) {
		t.Errorf("labels %v", node.Labels)
	}
	for name, want := range map[corev1.ResourceName]string{"cpu": "64", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": "2"} {
		if q := node.Status.Allocatable[name]; q.String() != want {
			t.Errorf("%s is %s, want %s", name, &q, want)
		}
	}
	if bare := (Node{"a", 1, 1, 0, ""}).Object(); len(bare.Labels) != 1 || len(bare.Status.Capacity) != 3 {
		t.Errorf("a node without GPUs: %v %v", bare.Labels, bare.Status.Capacity)
	}
}

// Pods say the same as objects as they do as rows.
func TestPodObject(t *testing.T) {
	for name, c := range map[string]struct {
		pod       Pod
		want      sched.Ask
		kind      sched.Kind
		mayGiveUp bool
	}{
		"serving on a whole GPU": {
			Pod{Name: "a", CPUMilli: 11300, MemoryMiB: 48, GPUs: 1, GPUMilli: 1000, QoS: LatencySensitive},
			sched.Ask{Devices: 1}, sched.Infer, false},
		"training on a part": {
			Pod{Name: "a", CPUMilli: 3152, MemoryMiB: 48, GPUs: 1, GPUMilli: 470, QoS: BestEffort},
			sched.Ask{Devices: 1, Part: sched.Part{Fraction: 470_000}}, sched.Train, true},
		"training on parts of two GPUs": {
			Pod{Name: "a", CPUMilli: 1, MemoryMiB: 48, GPUs: 2, GPUMilli: 5, QoS: Burstable},
			sched.Ask{Devices: 2, Part: sched.Part{Fraction: 5_000}}, sched.Train, true},
		"a choice of models": {
			Pod{Name: "a", CPUMilli: 1, MemoryMiB: 48, GPUs: 8, GPUMilli: 1000, Models: []string{"G2", "T4"}, QoS: Guaranteed},
			sched.Ask{Devices: 8, Models: []string{"G2", "T4"}}, sched.Build, false},
		"no GPU": {
			Pod{Name: "a", CPUMilli: 1, MemoryMiB: 48, QoS: LatencySensitive},
			sched.Ask{}, sched.Infer, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := c.pod.Object("ns")
			got, err := ask.FromPod(pod, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.CPU != c.pod.CPUMilli || got.Memory != 48<<20 {
				t.Errorf("%d milli-CPUs and %d bytes", got.CPU, got.Memory)
			}
			if got.Devices != c.want.Devices || got.Part != c.want.Part || !slices.Equal(got.Models, c.want.Models) {
				t.Errorf("asks for %+v, want %+v", got, c.want)
			}
			words, err := ask.ReadWords(pod)
			if err != nil || words.Kind != c.kind || words.Preemptible == nil || *words.Preemptible != c.mayGiveUp {
				t.Errorf("says %+v, %v", words, err)
			}
		})
	}
}

// Every pod of the trace asks, as an object, for what its row says.
func TestEveryPodAsksForItsRow(t *testing.T) {
	pods, err := Pods()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		got, err := ask.FromPod(p.Object(Assign(p)), nil)
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		each := sched.GPU
		if !got.Part.IsWhole() {
			each = got.Part.Fraction
		}
		if int64(got.Devices)*each != p.MicroGPU() {
			t.Errorf("%s asks for %+v, its row is %+v", p.Name, got, p)
		}
	}
}
