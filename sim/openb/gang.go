package openb

import (
	"fmt"
	"math"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/ask"
)

// Gang is a training job of the sample organisation whose pods start together.
// The trace has none: its pods come one by one.
type Gang struct {
	Name     string
	Project  string
	Priority int32 // 0: as usual for training
	At       time.Duration
	Run      time.Duration
	Pods     int32
	GPUs     int64 // of each pod, whole
}

// gangs is in order of arrival. The five first make up foundation's quota.
var gangs = []Gang{
	{Name: "pretrain-a", Project: "foundation", At: 10 * time.Second, Run: 240 * time.Second, Pods: 41, GPUs: 8},
	{Name: "pretrain-b", Project: "foundation", At: 20 * time.Second, Run: 240 * time.Second, Pods: 41, GPUs: 8},
	{Name: "pretrain-c", Project: "foundation", At: 30 * time.Second, Run: 240 * time.Second, Pods: 41, GPUs: 8},
	{Name: "pretrain-d", Project: "foundation", At: 40 * time.Second, Run: 240 * time.Second, Pods: 41, GPUs: 8},
	{Name: "pretrain-e", Project: "foundation", At: 50 * time.Second, Run: 240 * time.Second, Pods: 41, GPUs: 8},
	{Name: "hotfix", Project: "foundation", At: 95 * time.Second, Run: 60 * time.Second, Pods: 8, GPUs: 8, Priority: 90},
}

// Gangs returns the gangs of the sample organisation, in order of arrival.
func Gangs() []Gang { return append([]Gang(nil), gangs...) }

// CPU and memory of each pod of a gang: little enough that any node with
// enough free GPUs has them.
const (
	gangCPU    = 32_000  // milli-CPUs
	gangMemory = 128_000 // MiB
)

// Object returns the gang as a Job, whose pods are made again when they are
// evicted.
func (g Gang) Object(namespace string) *batchv1.Job {
	spec := podSpec(gangCPU, gangMemory)
	askWhole(&spec, g.GPUs)
	job := &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: g.Name, Annotations: map[string]string{
			ask.Kind: "train",
		}},
		Spec: batchv1.JobSpec{
			Parallelism:  &g.Pods,
			Completions:  &g.Pods,
			BackoffLimit: new(int32(math.MaxInt32)),
			PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
				Action: batchv1.PodFailurePolicyActionIgnore,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
					{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
				},
			}}},
			Template: corev1.PodTemplateSpec{Spec: spec},
		},
	}
	if g.Priority != 0 {
		job.Annotations[ask.Priority] = strconv.Itoa(int(g.Priority))
	}
	return job
}

// String is for people: "foundation/hotfix (8 × 8 GPUs)".
func (g Gang) String() string {
	return fmt.Sprintf("%s/%s (%d × %d GPUs)", g.Project, g.Name, g.Pods, g.GPUs)
}
