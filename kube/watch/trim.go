package watch

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// trim drops from an object what no decision looks at, to hold ten thousand
// of them in little memory.
func trim(o runtime.Object, m metav1.Object) {
	m.SetManagedFields(nil)
	switch o := o.(type) {
	case *corev1.Pod:
		trimPod(o)
	case *corev1.Node:
		o.Status.Images = nil
		o.Status.NodeInfo = corev1.NodeSystemInfo{}
	}
}

func trimPod(pod *corev1.Pod) {
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			c := &containers[i]
			containers[i] = corev1.Container{
				Name: c.Name, Ports: c.Ports, Resources: c.Resources,
				RestartPolicy: c.RestartPolicy, // tells sidecars from steps
			}
		}
	}
	pod.Spec.EphemeralContainers = nil
	s := &pod.Status
	s.InitContainerStatuses, s.ContainerStatuses, s.EphemeralContainerStatuses = nil, nil, nil
}
