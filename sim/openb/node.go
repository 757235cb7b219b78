package openb

import (
	"fmt"
	"io"
	"iter"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/ask"
)

// Node is one row of a node list.
type Node struct {
	Name      string
	CPUMilli  int64
	MemoryMiB int64
	GPUs      int64
	Model     string
}

// The most that a node or pod of a trace can have.
const (
	mostCPU    = 100_000_000    // milli-CPUs
	mostMemory = 1_000_000_000  // MiB
	mostGPUs   = 128            // of one node
	mostTime   = 10_000_000_000 // seconds
)

var nodeTable = table[Node]{
	columns: []column[Node]{
		{"sn", func(n *Node, s string) string { return objectName(&n.Name, s) }},
		{"cpu_milli", func(n *Node, s string) string { return number(&n.CPUMilli, s, 0, mostCPU) }},
		{"memory_mib", func(n *Node, s string) string { return number(&n.MemoryMiB, s, 0, mostMemory) }},
		{"gpu", func(n *Node, s string) string { return number(&n.GPUs, s, 0, mostGPUs) }},
		{"model", func(n *Node, s string) string {
			n.Model = s
			if s == "" {
				return "" // see check
			}
			return modelName(s)
		}},
	},
	name: func(n *Node) string { return n.Name },
	check: func(n *Node) (column, valid string) {
		switch {
		case n.GPUs > 0 && n.Model == "":
			return "model", fmt.Sprintf("write the model of the node's %d GPUs", n.GPUs)
		case n.GPUs == 0 && n.Model != "":
			return "model", "leave it empty, the node has no GPUs"
		}
		return "", ""
	},
}

// ReadNodes yields the nodes of a list; file is its name in errors.
func ReadNodes(file string, r io.Reader) iter.Seq2[Node, error] { return nodeTable.read(file, r) }

// The labels of NVIDIA's feature discovery.
const (
	labelProduct = "nvidia.com/gpu.product"
	labelMemory  = "nvidia.com/gpu.memory"
	labelCount   = "nvidia.com/gpu.count"
)

// Object returns the node as a Kubernetes object, on which a vendor's device
// plugin counts the GPUs.
func (n Node) Object() *corev1.Node {
	node := &corev1.Node{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: map[string]string{corev1.LabelHostname: n.Name}},
	}
	node.Status.Capacity = corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(n.CPUMilli, resource.DecimalSI),
		corev1.ResourceMemory: mebibytes(n.MemoryMiB),
		corev1.ResourcePods:   *resource.NewQuantity(110, resource.DecimalSI),
	}
	if n.GPUs > 0 {
		node.Labels[labelProduct] = n.Model
		node.Labels[labelCount] = strconv.FormatInt(n.GPUs, 10)
		if mib, ok := GPUMemoryMiB(n.Model); ok {
			node.Labels[labelMemory] = strconv.FormatInt(mib, 10)
		}
		node.Status.Capacity[ask.WholeGPU] = *resource.NewQuantity(n.GPUs, resource.DecimalSI)
	}
	node.Status.Allocatable = node.Status.Capacity.DeepCopy()
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	return node
}

func mebibytes(mib int64) resource.Quantity {
	return *resource.NewQuantity(mib<<20, resource.BinarySI)
}
