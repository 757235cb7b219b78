package simnode

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Spec is how a simulated node looks.
type Spec struct {
	Name      string
	CPU       int64 // milli-CPUs
	Memory    int64 // bytes
	Pods      int64 // pod slots; 0 is 110, the kubelet's default
	GPUs      int
	Model     string // product name as NVIDIA's feature discovery spells it
	MemoryMiB int64  // usable memory of one GPU
	// Counted nodes offer nvidia.com/gpu by number, like a vendor's device
	// plugin; others publish each device through DRA.
	Counted bool
	Labels  map[string]string // beside the ones that simnode sets
}

// Model is a kind of GPU: how people call it, and how its node reports it.
type Model struct {
	Short     string
	Product   string
	MemoryMiB int64
}

// Models are the kinds of GPUs that simulated nodes can be given by name, with
// the memory that the driver reports for them.
var Models = []Model{
	{"A10", "NVIDIA-A10", 23028},
	{"A100", "NVIDIA-A100-SXM4-80GB", 81920},
	{"A100-40GB", "NVIDIA-A100-SXM4-40GB", 40960},
	{"B200", "NVIDIA-B200", 183359},
	{"H100", "NVIDIA-H100-80GB-HBM3", 81559},
	{"H200", "NVIDIA-H200", 143771},
	{"L4", "NVIDIA-L4", 23034},
	{"L40S", "NVIDIA-L40S", 46068},
	{"P100", "Tesla-P100-PCIE-16GB", 16280},
	{"T4", "Tesla-T4", 15360},
	{"V100", "Tesla-V100-SXM2-32GB", 32768},
	{"V100-16GB", "Tesla-V100-SXM2-16GB", 16384},
}

// FindModel returns the model of a short or full name, whatever its case.
func FindModel(name string) (Model, error) {
	for _, m := range Models {
		if strings.EqualFold(m.Short, name) || strings.EqualFold(m.Product, name) {
			return m, nil
		}
	}
	known := make([]string, len(Models))
	for i, m := range Models {
		known[i] = m.Short
	}
	return Model{}, fmt.Errorf("GPU model %q is not known: use one of %s", name, strings.Join(known, ", "))
}

// Per GPU, a simulated node has this much beside it, as DGX machines do.
const (
	cpuPerGPU    = 16_000
	memoryPerGPU = 128 << 30
)

// Shape returns n equal nodes, each with the given number of GPUs of a model.
func Shape(n, gpus int, model string) ([]Spec, error) {
	if n < 1 || n > 20_000 {
		return nil, fmt.Errorf("%d nodes are not possible: use 1 to 20000", n)
	}
	if gpus < 0 || gpus > 128 {
		return nil, fmt.Errorf("%d GPUs for each node are not possible: use 0 to 128", gpus)
	}
	m, err := FindModel(model)
	if err != nil {
		return nil, err
	}
	specs := make([]Spec, n)
	for i := range specs {
		specs[i] = Spec{
			Name:      fmt.Sprintf("sim-%0*d", len(fmt.Sprint(n-1)), i),
			CPU:       int64(max(gpus, 1)) * cpuPerGPU,
			Memory:    int64(max(gpus, 1)) * memoryPerGPU,
			GPUs:      gpus,
			Model:     m.Product,
			MemoryMiB: m.MemoryMiB,
		}
	}
	return specs, nil
}

// sorted returns specs in order of name, or an error when two share one.
func sorted(specs []Spec) ([]Spec, error) {
	specs = slices.SortedFunc(slices.Values(specs), func(a, b Spec) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(specs); i++ {
		if specs[i].Name == specs[i-1].Name {
			return nil, fmt.Errorf("two simulated nodes are called %q: names have to be unique", specs[i].Name)
		}
	}
	return specs, nil
}

// withLabels returns the labels of the node that s stands for.
func (s Spec) withLabels() map[string]string {
	labels := map[string]string{
		Label:                     "true",
		"kubernetes.io/hostname":  s.Name,
		"kubernetes.io/os":        "linux",
		"kubernetes.io/arch":      "amd64",
		"beta.kubernetes.io/os":   "linux", // else the node controller adds them, by a write for each node
		"beta.kubernetes.io/arch": "amd64",
	}
	if s.GPUs > 0 {
		labels["nvidia.com/gpu.product"] = s.Model
		labels["nvidia.com/gpu.memory"] = fmt.Sprint(s.MemoryMiB)
		labels["nvidia.com/gpu.count"] = fmt.Sprint(s.GPUs)
	}
	maps.Copy(labels, s.Labels)
	return labels
}
