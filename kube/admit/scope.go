package admit

import (
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Scope is what the configurations owe to a cluster's own objects. It changes
// while Weir runs; [Scope.AdjustMutating] and [Scope.AdjustValidating] bring
// configurations that exist in step and leave alone what else people changed
// in them.
type Scope struct {
	// Makers are the kinds of objects that make pods: those of which there is
	// a rule.
	Makers []schema.GroupVersionKind
	// Mapped are the namespaces that Projects name.
	Mapped []string
}

// The webhooks of the configurations.
const (
	labelledPods = "projects.pods.weir.dev" // of namespaces labelled as a project's
	mappedPods   = "mapped.pods.weir.dev"   // of namespaces that a project names, and that have no label
	askingPods   = "asking.pods.weir.dev"   // elsewhere, that ask for Weir
	otherPods    = "other.pods.weir.dev"
	ownObjects   = "objects.weir.dev"
	makers       = "workloads.weir.dev"
)

// AdjustMutating brings the namespaces that Projects name into the
// configuration: API servers cannot look at Projects.
func (s Scope) AdjustMutating(m *admissionregistrationv1.MutatingWebhookConfiguration) {
	mapped := slices.DeleteFunc(slices.Clone(s.Mapped), func(ns string) bool {
		return slices.Contains(systemNamespaces, ns)
	})
	slices.Sort(mapped)
	mapped = slices.Compact(mapped)
	m.Webhooks = slices.DeleteFunc(m.Webhooks, func(w admissionregistrationv1.MutatingWebhook) bool {
		return w.Name == mappedPods
	})
	for i := range m.Webhooks {
		if w := &m.Webhooks[i]; w.Name == askingPods || w.Name == otherPods {
			w.NamespaceSelector = without(w.NamespaceSelector, mapped)
		}
	}
	i := slices.IndexFunc(m.Webhooks, func(w admissionregistrationv1.MutatingWebhook) bool {
		return w.Name == labelledPods
	})
	if i < 0 || len(mapped) == 0 {
		return
	}
	w := *m.Webhooks[i].DeepCopy()
	w.Name = mappedPods
	w.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		unlabelled, {Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: mapped},
	}}
	m.Webhooks = slices.Insert(m.Webhooks, i+1, w)
}

// without returns a selector that leaves out the namespaces too, and no others
// that it was made to leave out before. What people leave out stands in the
// requirement that leaves out the system's.
func without(selector *metav1.LabelSelector, namespaces []string) *metav1.LabelSelector {
	selector = selector.DeepCopy()
	if selector == nil {
		selector = &metav1.LabelSelector{}
	}
	selector.MatchExpressions = slices.DeleteFunc(selector.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
		return r.Key == corev1.LabelMetadataName && r.Operator == metav1.LabelSelectorOpNotIn &&
			!slices.Contains(r.Values, metav1.NamespaceSystem)
	})
	if len(namespaces) > 0 {
		selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: namespaces,
		})
	}
	return selector
}

// AdjustValidating brings the kinds that make pods into the configuration.
func (s Scope) AdjustValidating(v *admissionregistrationv1.ValidatingWebhookConfiguration) {
	kinds := append(slices.Clip(s.Makers), schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "CronJob"})
	var all []admissionregistrationv1.RuleWithOperations
	for _, gvk := range kinds {
		resource, _ := meta.UnsafeGuessKindToResource(gvk) // a wrong guess matches nothing
		all = append(all, rules(gvk.Group, gvk.Version, admissionregistrationv1.NamespacedScope,
			[]string{resource.Resource}, admissionregistrationv1.Create, admissionregistrationv1.Update)...)
	}
	for i := range v.Webhooks {
		if v.Webhooks[i].Name == makers {
			v.Webhooks[i].Rules = all
		}
	}
}
