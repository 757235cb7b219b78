package ask

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/sched"
)

// MaxDevices is how many devices one claim can hold: the most results that the
// Kubernetes API takes in an allocation.
const MaxDevices = 32

const devicesValid = "write a whole number from 1 to 32"

// partWords are the words for a part of a device, as found in one place.
type partWords struct {
	fraction, fractionLimit word
	memory, memoryLimit     word
	compute, computeLimit   word
}

// shareFromWords reads the share that the pod's own words ask for. ok is false
// when they ask for none.
func shareFromWords(pod *corev1.Pod) (devices int, part sched.Part, ok bool, err error) {
	if ShareWord(pod) == "" {
		return 0, sched.Part{}, false, nil
	}
	var p partWords
	var n word
	for _, f := range []struct {
		name string
		into *word
	}{
		{GPUFraction, &p.fraction}, {GPUFractionLimit, &p.fractionLimit},
		{GPUMemory, &p.memory}, {GPUMemoryLimit, &p.memoryLimit},
		{GPUCompute, &p.compute}, {GPUComputeLimit, &p.computeLimit},
		{GPUDevices, &n},
	} {
		if *f.into, err = find(pod, f.name); err != nil {
			return 0, sched.Part{}, false, err
		}
	}
	devices = 1
	if n.set {
		if !p.fraction.set && !p.memory.set {
			return 0, sched.Part{}, false, n.bad("says of how many GPUs but not which part of each",
				"add "+GPUFraction+" or "+GPUMemory+", or ask for whole GPUs with resources.limits "+WholeGPU)
		}
		v, err := whole(n, 1, MaxDevices, devicesValid)
		if err != nil {
			return 0, sched.Part{}, false, err
		}
		devices = int(v)
	}
	part, err = p.part(GPUFraction, GPUMemory, GPUCompute)
	return devices, part, err == nil, err
}

// part reads the words as a part of a device. The names are those to offer
// where one is missing.
func (p partWords) part(fractionName, memoryName, computeName string) (sched.Part, error) {
	var part sched.Part
	for _, f := range []struct {
		w     word
		needs word
		name  string
		read  func(word) (int64, error)
		into  *int64
	}{
		{p.fraction, p.fraction, fractionName, fraction, &part.Fraction},
		{p.memory, p.memory, memoryName, memory, &part.MemoryMiB},
		{p.compute, p.compute, computeName, compute, &part.ComputeMilli},
		{p.fractionLimit, p.fraction, fractionName, fraction, &part.LimitFraction},
		{p.memoryLimit, p.memory, memoryName, memory, &part.LimitMemoryMiB},
		{p.computeLimit, p.compute, computeName, compute, &part.LimitComputeMilli},
	} {
		if !f.w.set {
			continue
		}
		v, err := f.read(f.w)
		if err != nil {
			return sched.Part{}, err
		}
		if !f.needs.set {
			return sched.Part{}, f.w.bad("is a limit without a request", "add "+f.name+" with at most this value")
		}
		*f.into = v
	}
	switch {
	case p.compute.set && !p.fraction.set && !p.memory.set:
		return sched.Part{}, p.compute.bad("asks for compute without memory", "add "+memoryName+" or "+fractionName)
	case p.compute.set && p.fraction.set && p.memory.set:
		return sched.Part{}, p.compute.bad("says the compute that "+p.fraction.field+" says already beside "+
			p.memory.field, "keep one of the two")
	}
	return part, p.limits(part)
}

// limits checks that no limit is under its request.
func (p partWords) limits(part sched.Part) error {
	for _, f := range []struct {
		limit, request     word
		limited, requested int64
	}{
		{p.fractionLimit, p.fraction, part.LimitFraction, part.Fraction},
		{p.memoryLimit, p.memory, part.LimitMemoryMiB, part.MemoryMiB},
		{p.computeLimit, p.compute, part.LimitComputeMilli, part.ComputeMilli},
	} {
		if f.limit.set && f.limited < f.requested {
			return f.limit.bad("is less than "+f.request.field+" \""+f.request.value+"\"",
				"write at least as much as the request, or leave the limit out")
		}
	}
	return nil
}

// LendsIdleMemory reports whether the pod's share of memory may be lent while it
// does nothing with it.
func LendsIdleMemory(pod metav1.Object) (bool, error) {
	w, err := find(pod, GPUIdleMemory)
	switch {
	case err != nil || !w.set || w.value == "keep":
		return false, err
	case w.value != "lend":
		return false, w.bad("is no way to treat it", "write lend or keep")
	}
	return true, nil
}

// modelsOf reads the models that the pod allows.
func modelsOf(pod *corev1.Pod) (word, []string, error) {
	w, err := find(pod, GPUModels)
	if err != nil || !w.set {
		return w, nil, err
	}
	models, err := list(w, "write product names, or parts of them, such as \"A100,H100\"")
	return w, models, err
}

// list reads names divided by commas.
func list(w word, valid string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(w.value, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			return nil, w.bad("has an empty name", valid)
		}
		names = append(names, name)
	}
	return names, nil
}
