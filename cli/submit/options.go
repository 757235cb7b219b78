package submit

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/sched"
)

// Options is what people say of a workload. Empty fields are left to the
// defaults of Weir and of Kubernetes.
type Options struct {
	Name      string
	Namespace string
	Project   string
	Image     string
	Command   []string
	Env       []string // NAME=value
	Notes     []string // annotations of the pods, NAME=value

	GPU            string // "2", "0.5"
	GPULimit       string
	GPUMemory      string
	GPUMemoryLimit string
	GPUCompute     string
	GPUDevices     int
	GPUModels      []string
	CPU            string
	Memory         string

	Pods       int // train: gang size; infer: replicas
	MinPods    int
	Retries    int // train: pods that may fail before the job does
	Priority   *int32
	Preempt    *bool
	NodePools  []string
	MinRuntime time.Duration
	Runtime    time.Duration // that is expected
}

// flagError names the flag that is wrong.
func flagError(flag string, err error) error { return fmt.Errorf("--%s: %w", flag, err) }

// check refuses what would only be understood later, or not at all.
func (o *Options) check(kind sched.Kind) error {
	if bad := validation.IsDNS1123Label(o.Name); bad != nil {
		return fmt.Errorf("%q cannot be the name of a workload: use up to 63 lower-case letters, digits and dashes, "+
			"such as my-job-1", o.Name)
	}
	if o.Image == "" {
		return fmt.Errorf("--image is missing: name the container image to run, such as --image python:3.13")
	}
	if o.Pods < 1 {
		return flagError(podsFlag(kind), fmt.Errorf("%d is fewer than one: write 1 or more", o.Pods))
	}
	if o.MinPods < 0 || o.MinPods > o.Pods {
		return flagError("min-pods", fmt.Errorf("%d of %d pods cannot be needed: write a number from 1 to %d",
			o.MinPods, o.Pods, o.Pods))
	}
	if o.Retries < 0 {
		return flagError("retries", fmt.Errorf("%d is fewer than none: write 0 or more", o.Retries))
	}
	if o.MinRuntime < 0 {
		return flagError("min-runtime", fmt.Errorf("%s is less than nothing: write a duration such as 5m", o.MinRuntime))
	}
	if o.Runtime < 0 {
		return flagError("expected-runtime", fmt.Errorf("%s is less than nothing: write a duration such as 2h", o.Runtime))
	}
	return o.checkGPU()
}

func podsFlag(kind sched.Kind) string {
	if kind == sched.Infer {
		return "replicas"
	}
	return "pods"
}

// checkGPU refuses flags that contradict each other or would have no effect.
func (o *Options) checkGPU() error {
	ask, err := o.gpus()
	if err != nil {
		return err
	}
	if ask.Whole == 0 {
		return nil
	}
	for _, f := range []struct{ name, value string }{
		{"gpu-memory", o.GPUMemory}, {"gpu-limit", o.GPULimit},
		{"gpu-memory-limit", o.GPUMemoryLimit}, {"gpu-compute", o.GPUCompute},
	} {
		if f.value != "" {
			return fmt.Errorf("--%s %s is for a part of a GPU, and --gpu %s asks for whole ones, "+
				"which come with all of their memory: leave one of the two out", f.name, f.value, o.GPU)
		}
	}
	if o.GPUDevices != 0 {
		return fmt.Errorf("--gpu-devices %d is for parts of several GPUs, and --gpu %s asks for whole ones: "+
			"write --gpu %d for whole GPUs", o.GPUDevices, o.GPU, o.GPUDevices)
	}
	return nil
}

// gpus reads --gpu; the zero Ask when it is not given.
func (o *Options) gpus() (quantity.Ask, error) {
	if o.GPU == "" {
		return quantity.Ask{}, nil
	}
	ask, err := quantity.ParseAsk(o.GPU)
	if err != nil {
		return ask, flagError("gpu", err)
	}
	return ask, nil
}

// env reads NAME=value pairs. Without "=" the value is empty.
func (o *Options) env() ([]corev1.EnvVar, error) {
	var vars []corev1.EnvVar
	for _, e := range o.Env {
		name, value, ok := strings.Cut(e, "=")
		if !ok || len(validation.IsEnvVarName(name)) > 0 {
			return nil, flagError("env", fmt.Errorf("%q is not NAME=value: write it such as --env EPOCHS=10", e))
		}
		vars = append(vars, corev1.EnvVar{Name: name, Value: value})
	}
	return vars, nil
}
