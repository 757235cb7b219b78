package fitness

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulinghelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

// sentences says, for people, what a plugin's refusal means. Those of the
// volume plugins are left as they are: they are specific enough.
var sentences = map[string]string{
	names.NodeUnschedulable: "the node is cordoned",
	names.NodePorts:         "a host port that the pod needs is taken",
	names.PodTopologySpread: "the pod's topology spread constraints would be broken",
	names.InterPodAffinity:  "the pod's or another pod's (anti-)affinity forbids it",
}

func reason(status *fwk.Status, plugin string, pod *corev1.Pod, node *corev1.Node) string {
	switch plugin {
	case names.TaintToleration:
		if node != nil {
			return untolerated(pod, node)
		}
	case names.NodeAffinity:
		return mismatch(pod, node)
	}
	if s, ok := sentences[plugin]; ok {
		return s
	}
	return strings.NewReplacer("node(s)", "the node").Replace(status.Message())
}

func untolerated(pod *corev1.Pod, node *corev1.Node) string {
	keepsOff := func(t *corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }
	taint, found := schedulinghelpers.FindMatchingUntoleratedTaint(
		klog.Background(), node.Spec.Taints, pod.Spec.Tolerations, keepsOff, false)
	if !found {
		return "the pod does not tolerate the node's taints"
	}
	return "the pod does not tolerate the node's taint " + taint.ToString()
}

func mismatch(pod *corev1.Pod, node *corev1.Node) string {
	if node != nil {
		for _, k := range sortedKeys(pod.Spec.NodeSelector) {
			if want := pod.Spec.NodeSelector[k]; node.Labels[k] != want {
				return fmt.Sprintf("the pod's nodeSelector wants %s=%s", k, want)
			}
		}
		if ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil {
			return fmt.Sprintf("the pod's node affinity is malformed: %v", err)
		} else if ok {
			return "the node is outside the pod's node affinity"
		}
	}
	return "the pod's node affinity matches other nodes"
}
