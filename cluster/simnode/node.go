package simnode

import (
	"hash/fnv"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// gpuResource is what a vendor's device plugin calls its devices.
const gpuResource = "nvidia.com/gpu"

// node returns the Node object that s stands for.
func (s Spec) node(now time.Time) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewMilliQuantity(s.CPU, resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(s.Memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(1<<40, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(110, resource.DecimalSI),
	}
	if s.Pods > 0 {
		capacity[corev1.ResourcePods] = *resource.NewQuantity(s.Pods, resource.DecimalSI)
	}
	if s.Counted && s.GPUs > 0 {
		capacity[gpuResource] = *resource.NewQuantity(int64(s.GPUs), resource.DecimalSI)
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: s.Name, Labels: s.withLabels()},
		Spec:       corev1.NodeSpec{ProviderID: "weir-sim://" + s.Name},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: capacity,
			Conditions:  conditions(corev1.ConditionTrue, now),
			Addresses:   addresses(s.Name),
			NodeInfo: corev1.NodeSystemInfo{
				Architecture:            "amd64",
				OperatingSystem:         "linux",
				OSImage:                 "simulated",
				KubeletVersion:          "v1.36.3-weir-sim",
				ContainerRuntimeVersion: "simulated://1",
			},
		},
	}
}

// conditions returns what a kubelet reports of its node, or, when ready is
// Unknown, what the node controller writes once it hears nothing any more.
func conditions(ready corev1.ConditionStatus, now time.Time) []corev1.NodeCondition {
	pressure, reason, message := corev1.ConditionFalse, "Simulated", "simulated node is up"
	if ready != corev1.ConditionTrue {
		pressure, reason, message = corev1.ConditionUnknown, "NodeStatusUnknown", "simulated node is stopped"
	}
	at := metav1.NewTime(now)
	of := func(kind corev1.NodeConditionType, status corev1.ConditionStatus) corev1.NodeCondition {
		return corev1.NodeCondition{
			Type: kind, Status: status, Reason: reason, Message: message,
			LastHeartbeatTime: at, LastTransitionTime: at,
		}
	}
	return []corev1.NodeCondition{
		of(corev1.NodeMemoryPressure, pressure),
		of(corev1.NodeDiskPressure, pressure),
		of(corev1.NodePIDPressure, pressure),
		of(corev1.NodeReady, ready),
	}
}

// addresses returns a node's own, which lead nowhere, and the one at which the
// API server of an embedded cluster finds its kubelet.
func addresses(node string) []corev1.NodeAddress {
	return []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: address(nodeNet, node)},
		{Type: corev1.NodeHostName, Address: node},
		{Type: corev1.NodeInternalDNS, Address: "localhost"},
	}
}

// Simulated nodes and pods get addresses that lead nowhere.
var (
	nodeNet = netip.MustParsePrefix("198.18.0.0/15") // reserved for benchmarks
	podNet  = netip.MustParsePrefix("100.64.0.0/10")
)

// address returns the same address of the net for the same name, always.
func address(net netip.Prefix, name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	b := net.Addr().As4()
	host := h.Sum32() >> net.Bits()
	for i := range b {
		b[3-i] |= byte(host >> (8 * i))
	}
	return netip.AddrFrom4(b).String()
}
