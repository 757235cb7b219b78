package ask

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// PlainFit is the class of pods that demand nothing of a node. It is a class
// and not "", as taints keep its pods off too.
const PlainFit = "plain"

// demands is what of a pod decides on which nodes it may run. Pods with equal
// demands are of one class. The order and names of the fields are part of the
// key; what is empty is left out of it.
type demands struct {
	NodeSelector map[string]string                 `json:"nodeSelector,omitempty"`
	NodeAffinity *corev1.NodeSelector              `json:"nodeAffinity,omitempty"`
	Tolerations  []corev1.Toleration               `json:"tolerations,omitempty"`
	Volumes      []volume                          `json:"volumes,omitempty"`
	Ports        []corev1.ContainerPort            `json:"ports,omitempty"`
	Affinity     []corev1.PodAffinityTerm          `json:"affinity,omitempty"`
	AntiAffinity []corev1.PodAffinityTerm          `json:"antiAffinity,omitempty"`
	Spread       []corev1.TopologySpreadConstraint `json:"spread,omitempty"`
	// Namespace and Labels count where the demands are about other pods or
	// name objects of the namespace.
	Namespace string            `json:"namespace,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// volume is what of a volume ties a pod to nodes: a claim by name, or a source
// that only some nodes can serve.
type volume struct {
	Claim     string                            `json:"claim,omitempty"`
	Ephemeral *corev1.PersistentVolumeClaimSpec `json:"ephemeral,omitempty"`
	Source    *corev1.VolumeSource              `json:"source,omitempty"`
}

// FitKey names the class of the pod's demands on a node: equal for pods
// whose demands are equal, [PlainFit] for those that have none. The key is the
// same whenever and wherever it is computed.
func FitKey(pod *corev1.Pod) string { return demandsOf(pod).key() }

func (d demands) key() string {
	text, err := json.Marshal(d)
	if err != nil {
		panic("ask: demands cannot be written: " + err.Error()) // plain data always can
	}
	if string(text) == "{}" {
		return PlainFit
	}
	sum := sha256.Sum256(text)
	return "fit-" + hex.EncodeToString(sum[:8])
}

func demandsOf(pod *corev1.Pod) demands {
	d := demands{
		NodeSelector: pod.Spec.NodeSelector,
		Tolerations:  tolerations(pod.Spec.Tolerations),
		Ports:        hostPorts(&pod.Spec),
		Spread:       pod.Spec.TopologySpreadConstraints,
		Volumes:      volumes(pod.Spec.Volumes),
	}
	if a := pod.Spec.Affinity; a != nil {
		if a.NodeAffinity != nil {
			d.NodeAffinity = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		}
		if a.PodAffinity != nil {
			d.Affinity = a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		}
		if a.PodAntiAffinity != nil {
			d.AntiAffinity = a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		}
	}
	aboutPods := len(d.Affinity)+len(d.AntiAffinity)+len(d.Spread) > 0
	if aboutPods || len(d.Volumes) > 0 {
		d.Namespace = pod.Namespace
	}
	if aboutPods {
		d.Labels = pod.Labels
	}
	return d
}

// tolerations leaves out those that the API server gives to every pod, so that
// a pod from a file and the same pod from a cluster are of one class.
func tolerations(all []corev1.Toleration) []corev1.Toleration {
	return slices.DeleteFunc(slices.Clone(all), func(t corev1.Toleration) bool {
		return t.Effect == corev1.TaintEffectNoExecute && t.Operator == corev1.TolerationOpExists &&
			(t.Key == corev1.TaintNodeNotReady || t.Key == corev1.TaintNodeUnreachable)
	})
}

// hostPorts returns the ports that the pod takes on its node.
func hostPorts(spec *corev1.PodSpec) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	add := func(p corev1.ContainerPort) {
		host := p.HostPort
		if host == 0 && spec.HostNetwork {
			host = p.ContainerPort
		}
		if host > 0 {
			protocol := cmp.Or(p.Protocol, corev1.ProtocolTCP)
			ports = append(ports, corev1.ContainerPort{HostPort: host, Protocol: protocol, HostIP: p.HostIP})
		}
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			for _, p := range containers[i].Ports {
				add(p)
			}
		}
	}
	return ports
}

// volumes returns the volumes that are not served by every node alike.
func volumes(all []corev1.Volume) []volume {
	var tied []volume
	for i := range all {
		s := &all[i].VolumeSource
		switch {
		case s.PersistentVolumeClaim != nil:
			tied = append(tied, volume{Claim: s.PersistentVolumeClaim.ClaimName})
		case s.Ephemeral != nil && s.Ephemeral.VolumeClaimTemplate != nil:
			tied = append(tied, volume{Ephemeral: &s.Ephemeral.VolumeClaimTemplate.Spec})
		case everywhere(s):
		default:
			tied = append(tied, volume{Source: s})
		}
	}
	return tied
}

// everywhere reports whether any node can serve the source.
func everywhere(s *corev1.VolumeSource) bool {
	return s.EmptyDir != nil || s.ConfigMap != nil || s.Secret != nil || s.Projected != nil ||
		s.DownwardAPI != nil || s.HostPath != nil || s.NFS != nil || s.Image != nil ||
		*s == corev1.VolumeSource{}
}

// Gated reports whether somebody still holds the pod back from scheduling.
func Gated(pod *corev1.Pod) bool { return len(pod.Spec.SchedulingGates) > 0 }
