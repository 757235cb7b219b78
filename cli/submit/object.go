package submit

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/weir-gpu/weir/sched"
)

// Object is a Kubernetes object.
type Object interface {
	runtime.Object
	metav1.Object
}

// Build makes the object for a workload of the kind. Its errors are one
// sentence that names the flag, the value and what would be valid.
func Build(kind sched.Kind, o Options) (Object, error) {
	if err := o.check(kind); err != nil {
		return nil, err
	}
	template, err := o.podTemplate(kind)
	if err != nil {
		return nil, err
	}
	switch kind {
	case sched.Build:
		return o.pod(template)
	case sched.Train:
		return o.job(template), nil
	case sched.Infer:
		return o.deployment(template), nil
	}
	return nil, fmt.Errorf("%q is not a kind of workload: write build, train or infer", kind)
}

// pod is a bare, interactive pod: it has a terminal to attach to, and ends
// when its shell does.
func (o *Options) pod(t corev1.PodTemplateSpec) (Object, error) {
	if err := o.onePod(); err != nil {
		return nil, err
	}
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: o.meta(sched.Build),
		Spec:       t.Spec,
	}
	p.Annotations = t.Annotations
	p.Spec.Containers[0].Stdin = true
	p.Spec.Containers[0].TTY = true
	return p, nil
}

// job is a gang. A pod that Weir took back is replaced and does not count as
// failed; one that failed by itself counts against the retries.
func (o *Options) job(t corev1.PodTemplateSpec) Object {
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: o.meta(sched.Train),
		Spec: batchv1.JobSpec{
			Parallelism:    new(int32(o.Pods)),
			Completions:    new(int32(o.Pods)),
			CompletionMode: new(batchv1.IndexedCompletion),
			BackoffLimit:   new(int32(o.Retries)),
			PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
				Action: batchv1.PodFailurePolicyActionIgnore,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{
					Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
				}},
			}}},
			Template: t,
		},
	}
}

func (o *Options) deployment(t corev1.PodTemplateSpec) Object {
	t.Spec.RestartPolicy = "" // the only one that a Deployment may have is the default
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: o.meta(sched.Infer),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(o.Pods)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{nameLabel: o.Name}},
			Template: t,
		},
	}
}
