package plan

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/weir-gpu/weir/kube/ask"
)

// The rest of the file fills in what a cluster would have filled in.

// completeNode adds what kubelets report of every node.
func completeNode(n *corev1.Node) {
	if n.Labels[corev1.LabelHostname] == "" {
		metav1.SetMetaDataLabel(&n.ObjectMeta, corev1.LabelHostname, n.Name)
	}
	if n.Status.Allocatable == nil {
		n.Status.Allocatable = n.Status.Capacity.DeepCopy()
	}
}

// uidOf stands for the UID of a pod that has none yet.
func uidOf(namespace, name string) types.UID { return types.UID(namespace + "/" + name) }

// completeClaim adds the UIDs of the pods that a claim is reserved for, as
// files seldom have them.
func completeClaim(c *resourcev1.ResourceClaim, pods map[string]*corev1.Pod) {
	for i := range c.Status.ReservedFor {
		r := &c.Status.ReservedFor[i]
		if pod := pods[c.Namespace+"/"+r.Name]; r.UID == "" && r.Resource == "pods" && pod != nil {
			r.UID = pod.UID
		}
	}
}

// completeTime makes an object as old as the plan when its age is not told.
func completeTime(m metav1.Object, now time.Time) {
	if t := m.GetCreationTimestamp(); t.IsZero() {
		m.SetCreationTimestamp(metav1.NewTime(now))
	}
}

// classes are the PriorityClasses that pods can name.
type classes struct {
	values map[string]int32
	global *schedulingv1.PriorityClass
}

// newClasses starts with those that every cluster has.
func newClasses(objects []runtime.Object) classes {
	c := classes{values: map[string]int32{
		"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000,
	}}
	for _, obj := range objects {
		if class, ok := obj.(*schedulingv1.PriorityClass); ok {
			c.values[class.Name] = class.Value
			if class.GlobalDefault && (c.global == nil || class.Value < c.global.Value) {
				c.global = class
			}
		}
	}
	return c
}

// complete resolves the priority of a pod as the API server does.
func (c classes) complete(p *corev1.Pod) error {
	if p.Spec.Priority != nil {
		return nil
	}
	if p.Spec.PriorityClassName == "" && c.global != nil {
		p.Spec.PriorityClassName = c.global.Name
	}
	value, ok := c.values[p.Spec.PriorityClassName]
	if p.Spec.PriorityClassName != "" && !ok {
		return fmt.Errorf("spec.priorityClassName %q is no PriorityClass; add it to the files, or name another",
			p.Spec.PriorityClassName)
	}
	p.Spec.Priority = &value
	return nil
}

// completeBudgets works out how many disruptions budgets allow, as the
// disruption controller does, where their status does not say.
func completeBudgets(objects []runtime.Object, pods []*corev1.Pod) error {
	for _, obj := range objects {
		b, ok := obj.(*policyv1.PodDisruptionBudget)
		if !ok || b.Status.ObservedGeneration != 0 || b.Status.ExpectedPods != 0 || b.Status.DisruptionsAllowed != 0 {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil {
			return fmt.Errorf("PodDisruptionBudget %s/%s: spec.selector: %w", b.Namespace, b.Name, err)
		}
		expected, healthy := 0, 0
		for _, p := range pods {
			if p.Namespace != b.Namespace || ended(p) || !selector.Matches(labels.Set(p.Labels)) {
				continue
			}
			expected++
			if p.Spec.NodeName != "" && p.DeletionTimestamp == nil {
				healthy++
			}
		}
		wanted, err := wantedBy(b, expected)
		if err != nil {
			return fmt.Errorf("PodDisruptionBudget %s/%s: %w", b.Namespace, b.Name, err)
		}
		b.Status = policyv1.PodDisruptionBudgetStatus{
			DisruptionsAllowed: int32(max(0, healthy-wanted)), DesiredHealthy: int32(wanted),
			CurrentHealthy: int32(healthy), ExpectedPods: int32(expected), ObservedGeneration: b.Generation,
		}
	}
	return nil
}

// wantedBy is how many of the expected pods a budget wants healthy.
func wantedBy(b *policyv1.PodDisruptionBudget, expected int) (int, error) {
	switch {
	case b.Spec.MinAvailable != nil:
		return intstr.GetScaledValueFromIntOrPercent(b.Spec.MinAvailable, expected, true)
	case b.Spec.MaxUnavailable != nil:
		n, err := intstr.GetScaledValueFromIntOrPercent(b.Spec.MaxUnavailable, expected, true)
		return max(0, expected-n), err
	}
	return 0, nil
}

func ended(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// namespacesOf returns a Namespace for each that the objects stand in and that
// is not among them.
func namespacesOf(objects []runtime.Object) []runtime.Object {
	seen := map[string]bool{}
	for _, obj := range objects {
		if ns, ok := obj.(*corev1.Namespace); ok {
			seen[ns.Name] = true
			metav1.SetMetaDataLabel(&ns.ObjectMeta, corev1.LabelMetadataName, ns.Name)
		}
	}
	var missing []runtime.Object
	for _, obj := range objects {
		name := accessor(obj).GetNamespace()
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		missing = append(missing, &corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}},
		})
	}
	return missing
}

// daemon reports whether a pod is one of a DaemonSet, which binds its own.
func daemon(p *corev1.Pod) bool {
	c := metav1.GetControllerOfNoCopy(p)
	return c != nil && c.Kind == "DaemonSet"
}

// adopt gives a pod that runs already to Weir when nothing says whose it is
// and its place in a project makes it so: in files, spec.schedulerName is
// often left out.
func adopt(p *corev1.Pod, project string) {
	if p.Spec.SchedulerName == "" && !daemon(p) && project != "" {
		p.Spec.SchedulerName = ask.SchedulerName
	}
}
