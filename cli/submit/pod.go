package submit

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// nameLabel is how pods of a workload find their workload in a selector.
const nameLabel = "app.kubernetes.io/name"

// podTemplate makes the pod of every kind of workload.
func (o *Options) podTemplate(kind sched.Kind) (corev1.PodTemplateSpec, error) {
	var none corev1.PodTemplateSpec
	requirements, err := o.resources()
	if err != nil {
		return none, err
	}
	env, err := o.env()
	if err != nil {
		return none, err
	}
	words, err := o.annotations()
	if err != nil {
		return none, err
	}
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: o.labels(kind), Annotations: words},
		Spec: corev1.PodSpec{
			SchedulerName: ask.SchedulerName,
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "main", Image: o.Image, Command: o.Command, Env: env, Resources: requirements,
			}},
		},
	}
	return t, o.validate(t)
}

// validate asks the code of admission, so that both refuse with one sentence.
func (o *Options) validate(t corev1.PodTemplateSpec) error {
	pod := &corev1.Pod{ObjectMeta: *t.ObjectMeta.DeepCopy(), Spec: t.Spec}
	pod.Name, pod.Namespace = o.Name, o.Namespace
	if _, err := ask.FromPod(pod, nil); err != nil {
		return err
	}
	_, err := ask.ReadWords(pod)
	return err
}

// labels are what workloads are selected by.
func (o *Options) labels(kind sched.Kind) map[string]string {
	labels := map[string]string{nameLabel: o.Name, ask.Kind: string(kind)}
	if o.Project != "" {
		labels[ask.Project] = o.Project
	}
	return labels
}

// annotations are the words for everything that is only read.
func (o *Options) annotations() (map[string]string, error) {
	words := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			words[name] = value
		}
	}
	gpus, err := o.gpus()
	if err != nil {
		return nil, err
	}
	if gpus.Fraction > 0 {
		set(ask.GPUFraction, quantity.GPUs(gpus.Fraction))
	}
	set(ask.GPUFractionLimit, o.GPULimit)
	set(ask.GPUMemory, o.GPUMemory)
	set(ask.GPUMemoryLimit, o.GPUMemoryLimit)
	set(ask.GPUCompute, o.GPUCompute)
	set(ask.GPUModels, strings.Join(o.GPUModels, ","))
	set(ask.NodePool, strings.Join(o.NodePools, ","))
	if o.GPUDevices != 0 {
		set(ask.GPUDevices, strconv.Itoa(o.GPUDevices))
	}
	if o.Priority != nil {
		set(ask.Priority, strconv.Itoa(int(*o.Priority)))
	}
	if o.Preempt != nil {
		set(ask.Preemptible, strconv.FormatBool(*o.Preempt))
	}
	if o.MinPods > 0 {
		set(ask.MinPods, strconv.Itoa(o.MinPods))
	}
	if o.MinRuntime > 0 {
		set(ask.MinRuntime, quantity.Duration(o.MinRuntime))
	}
	if o.Runtime > 0 {
		set(ask.Runtime, quantity.Duration(o.Runtime))
	}
	for _, note := range o.Notes {
		name, value, ok := strings.Cut(note, "=")
		if !ok || len(validation.IsQualifiedName(strings.ToLower(name))) > 0 {
			return nil, flagError("annotation", fmt.Errorf("%q is not NAME=value: write it such as "+
				"--annotation example.com/owner=me", note))
		}
		words[name] = value
	}
	if len(words) == 0 {
		return nil, nil
	}
	return words, nil
}

// resources are requests for CPU and memory, and whole GPUs. CPU and memory
// have no limits: a limit on CPU only slows what could run.
func (o *Options) resources() (corev1.ResourceRequirements, error) {
	var r corev1.ResourceRequirements
	for _, f := range []struct {
		flag, value string
		name        corev1.ResourceName
	}{
		{"cpu", o.CPU, corev1.ResourceCPU}, {"memory", o.Memory, corev1.ResourceMemory},
	} {
		if f.value == "" {
			continue
		}
		q, err := quantity.ParseResource(f.value)
		if err != nil {
			return r, flagError(f.flag, err)
		}
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[f.name] = q
	}
	gpus, err := o.gpus()
	if err != nil || gpus.Whole == 0 {
		return r, err
	}
	q := resource.MustParse(strconv.Itoa(gpus.Whole))
	r.Limits = corev1.ResourceList{ask.WholeGPU: q}
	return r, nil
}

// meta is the metadata of the workload's own object.
func (o *Options) meta(kind sched.Kind) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace, Labels: maps.Clone(o.labels(kind))}
}

// onePod refuses a gang of bare pods.
func (o *Options) onePod() error {
	if o.Pods != 1 {
		return fmt.Errorf("%d pods: a build workload is one pod; use weir submit train for a gang", o.Pods)
	}
	return nil
}
