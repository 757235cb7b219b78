package openb

import (
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// QoS is the quality of service of a pod of the trace.
type QoS string

// The qualities of service.
const (
	LatencySensitive QoS = "LS"
	BestEffort       QoS = "BE"
	Burstable        QoS = "Burstable"
	Guaranteed       QoS = "Guaranteed"
)

// Pod is one row of a pod list.
type Pod struct {
	Name      string
	CPUMilli  int64
	MemoryMiB int64
	GPUs      int64
	GPUMilli  int64    // of each GPU: 1000 is a whole one
	Models    []string // that are allowed; none for all
	QoS       QoS
	Phase     string // when the trace was taken; told, not used
	Created   int64  // seconds
	Deleted   int64
	Scheduled int64 // -1: never
}

var (
	qualities = []QoS{LatencySensitive, BestEffort, Burstable, Guaranteed}
	phases    = []string{"Pending", "Running", "Succeeded", "Failed", "Unknown"}
)

var podTable = table[Pod]{
	columns: []column[Pod]{
		{"name", func(p *Pod, s string) string { return objectName(&p.Name, s) }},
		{"cpu_milli", func(p *Pod, s string) string { return number(&p.CPUMilli, s, 0, mostCPU) }},
		{"memory_mib", func(p *Pod, s string) string { return number(&p.MemoryMiB, s, 0, mostMemory) }},
		{"num_gpu", func(p *Pod, s string) string { return number(&p.GPUs, s, 0, mostGPUs) }},
		{"gpu_milli", func(p *Pod, s string) string { return number(&p.GPUMilli, s, 0, 1000) }},
		{"gpu_spec", readModels},
		{"qos", func(p *Pod, s string) string {
			p.QoS = QoS(s)
			if !slices.Contains(qualities, p.QoS) {
				return "write LS, BE, Burstable or Guaranteed"
			}
			return ""
		}},
		{"pod_phase", func(p *Pod, s string) string {
			p.Phase = s
			if !slices.Contains(phases, s) {
				return "write " + strings.Join(phases, ", ")
			}
			return ""
		}},
		{"creation_time", func(p *Pod, s string) string { return number(&p.Created, s, 0, mostTime) }},
		{"deletion_time", func(p *Pod, s string) string { return number(&p.Deleted, s, 0, mostTime) }},
		{"scheduled_time", func(p *Pod, s string) string {
			if p.Scheduled = -1; s == "" {
				return ""
			}
			return number(&p.Scheduled, s, 0, mostTime)
		}},
	},
	name: func(p *Pod) string { return p.Name },
	check: func(p *Pod) (column, valid string) {
		switch {
		case p.GPUs == 0 && p.GPUMilli != 0:
			return "gpu_milli", "write 0, the pod has no GPUs"
		case p.GPUs > 0 && p.GPUMilli == 0:
			return "gpu_milli", "write a whole number from 1 to 1000, the part of each GPU"
		case p.Deleted < p.Created:
			return "deletion_time", "write a time from creation_time on, " + strconv.FormatInt(p.Created, 10)
		case p.Scheduled >= 0 && p.Scheduled < p.Created:
			return "scheduled_time", "write a time from creation_time on, " + strconv.FormatInt(p.Created, 10) + ", or nothing"
		}
		return "", ""
	},
}

func readModels(p *Pod, s string) (valid string) {
	if p.Models = nil; s == "" {
		return ""
	}
	for model := range strings.SplitSeq(s, "|") {
		if modelName(model) != "" {
			return "write GPU models separated by |, or nothing for all"
		}
		p.Models = append(p.Models, model)
	}
	return ""
}

// ReadPods yields the pods of a list; file is its name in errors.
func ReadPods(file string, r io.Reader) iter.Seq2[Pod, error] { return podTable.read(file, r) }

// RunTime is how long the pod ran in the trace.
func (p Pod) RunTime() time.Duration { return time.Duration(p.Deleted-p.Created) * time.Second }

// Preemptible reports whether the pod's quality of service lets it be put off.
func (p Pod) Preemptible() bool { return p.QoS == BestEffort || p.QoS == Burstable }

// Kind is what the pod is for, as far as its quality of service tells.
func (p Pod) Kind() sched.Kind {
	switch p.QoS {
	case LatencySensitive:
		return sched.Infer
	case Guaranteed:
		return sched.Build
	}
	return sched.Train
}

// MicroGPU is what the pod asks for in all, in the engine's unit.
func (p Pod) MicroGPU() int64 { return p.GPUs * p.GPUMilli * (sched.GPU / 1000) }

// RunAnnotation says how long a simulated node lets a pod run.
const RunAnnotation = "weir.dev/sim-duration"

// image is never pulled by simulated nodes; on real ones it sleeps.
const image = "registry.k8s.io/pause:3.10"

// Object returns the pod as a Kubernetes object that Weir places.
func (p Pod) Object(namespace string) *corev1.Pod {
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: p.Name, Annotations: map[string]string{
			ask.Kind:        string(p.Kind()),
			ask.Preemptible: strconv.FormatBool(p.Preemptible()),
		}},
		Spec: podSpec(p.CPUMilli, p.MemoryMiB),
	}
	if len(p.Models) > 0 {
		pod.Annotations[ask.GPUModels] = strings.Join(p.Models, ",")
	}
	switch {
	case p.GPUs == 0:
	case p.GPUMilli == 1000:
		askWhole(&pod.Spec, p.GPUs)
	default:
		pod.Annotations[ask.GPUFraction] = fraction(p.GPUMilli)
		if p.GPUs > 1 {
			pod.Annotations[ask.GPUDevices] = strconv.FormatInt(p.GPUs, 10)
		}
	}
	return pod
}

func podSpec(cpuMilli, memoryMiB int64) corev1.PodSpec {
	return corev1.PodSpec{
		SchedulerName: ask.SchedulerName,
		RestartPolicy: corev1.RestartPolicyNever,
		Containers: []corev1.Container{{
			Name:  "main",
			Image: image,
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU:    *resource.NewMilliQuantity(cpuMilli, resource.DecimalSI),
				corev1.ResourceMemory: mebibytes(memoryMiB),
			}},
		}},
	}
}

func askWhole(spec *corev1.PodSpec, gpus int64) {
	n := *resource.NewQuantity(gpus, resource.DecimalSI)
	resources := &spec.Containers[0].Resources
	resources.Requests[ask.WholeGPU] = n
	resources.Limits = corev1.ResourceList{ask.WholeGPU: n}
}

// fraction writes milli-GPUs, below 1000, as a decimal: 470 is 0.47.
func fraction(milli int64) string {
	return "0." + strings.TrimRight(strconv.FormatInt(1000+milli, 10)[1:], "0")
}
