package admit

import (
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
)

// Name is the name of both webhook configurations.
const Name = "weir"

// Endpoint is where the API server finds the webhook: at a URL, or at a
// service of the cluster.
type Endpoint struct {
	URL      string // with [Path]; "" if there is a Service
	Service  *admissionregistrationv1.ServiceReference
	CABundle []byte // PEM
}

func (e Endpoint) client() admissionregistrationv1.WebhookClientConfig {
	c := admissionregistrationv1.WebhookClientConfig{Service: e.Service, CABundle: e.CABundle}
	if e.URL != "" {
		c.URL = &e.URL
	}
	return c
}

// Namespace is where Weir itself runs in a cluster that it is installed in.
const Namespace = "weir-system"

// systemNamespaces are never looked at: a cluster, and Weir, has to be able to
// start without Weir.
var systemNamespaces = []string{metav1.NamespaceSystem, metav1.NamespacePublic, "kube-node-lease", Namespace}

// unlabelled is true of namespaces without the label of a project.
var unlabelled = metav1.LabelSelectorRequirement{Key: ask.Project, Operator: metav1.LabelSelectorOpDoesNotExist}

// asksForWeir is true for pods that are meant for Weir in so many words.
const asksForWeir = `(has(object.spec.schedulerName) && object.spec.schedulerName == 'weir') ||
(has(object.metadata.annotations) && object.metadata.annotations.exists(k, k.startsWith('weir.dev/') ||
k in ['gpu-fraction', 'gpu-memory', 'gpu-fraction-num-devices'])) ||
(has(object.metadata.labels) && object.metadata.labels.exists(k, k.startsWith('weir.dev/') ||
k in ['gpu-fraction', 'gpu-memory', 'gpu-fraction-num-devices']))`

// Mutating returns the configuration by which pods come to the webhook, each
// once.
//
// Whether a pod can be created while Weir is down depends on whose it is. In
// namespaces that are labelled as a project's or that a project names, and for
// pods that ask for Weir themselves, creating waits for Weir: let through, they
// would run where they must not. All other pods are let through.
func Mutating(e Endpoint, s Scope) *admissionregistrationv1.MutatingWebhookConfiguration {
	labelled := metav1.LabelSelectorRequirement{Key: ask.Project, Operator: metav1.LabelSelectorOpExists}
	others := []metav1.LabelSelectorRequirement{unlabelled, notSystem()}
	projects := pods(e, labelledPods, admissionregistrationv1.Fail, labelled, notSystem())
	asking := pods(e, askingPods, admissionregistrationv1.Fail, others...)
	asking.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "asks-for-weir", Expression: asksForWeir}}
	rest := pods(e, otherPods, admissionregistrationv1.Ignore, others...)
	rest.MatchConditions = []admissionregistrationv1.MatchCondition{
		{Name: "does-not-ask-for-weir", Expression: "!(" + asksForWeir + ")"},
	}
	rest.TimeoutSeconds = new(int32(2))
	m := &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta: metav1.TypeMeta{
			APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "MutatingWebhookConfiguration",
		},
		ObjectMeta: metav1.ObjectMeta{Name: Name},
		Webhooks:   []admissionregistrationv1.MutatingWebhook{projects, asking, rest},
	}
	s.AdjustMutating(m)
	return m
}

func notSystem() metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{
		Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: slices.Clone(systemNamespaces),
	}
}

func pods(e Endpoint, name string, policy admissionregistrationv1.FailurePolicyType,
	namespaces ...metav1.LabelSelectorRequirement,
) admissionregistrationv1.MutatingWebhook {
	return admissionregistrationv1.MutatingWebhook{
		Name:                    name,
		ClientConfig:            e.client(),
		Rules:                   created("pods"),
		FailurePolicy:           &policy,
		MatchPolicy:             new(admissionregistrationv1.Equivalent),
		NamespaceSelector:       &metav1.LabelSelector{MatchExpressions: namespaces},
		SideEffects:             new(admissionregistrationv1.SideEffectClassNoneOnDryRun), // claim templates
		TimeoutSeconds:          new(int32(5)),
		ReinvocationPolicy:      new(admissionregistrationv1.NeverReinvocationPolicy),
		AdmissionReviewVersions: []string{"v1"},
	}
}

// Of the objects that make pods, those are looked at that no other object made
// and of which the parts that Weir reads are new.
const (
	isNobodys = `!has(object.metadata.ownerReferences) ||
!object.metadata.ownerReferences.exists(o, has(o.controller) && o.controller)`
	isChanged = `request.operation == 'CREATE' || object.?spec != oldObject.?spec ||
(has(object.metadata.annotations) ? object.metadata.annotations : {}) !=
(has(oldObject.metadata.annotations) ? oldObject.metadata.annotations : {})`
)

// Validating returns the configuration by which Weir's own objects, and those
// of the kinds that make pods, come to the webhook.
//
// Weir's own cannot be changed while it is down, as two changes that are each
// right may be wrong together. Nothing else waits for it: the pods of a Job
// that was let through unseen are looked at in their turn.
func Validating(e Endpoint, s Scope) *admissionregistrationv1.ValidatingWebhookConfiguration {
	own := validating(e, ownObjects, admissionregistrationv1.Fail)
	own.Rules = rules(v1alpha1.GroupVersion.Group, v1alpha1.GroupVersion.Version, admissionregistrationv1.ClusterScope,
		[]string{"departments", "projects", "nodepools", "workloadrules"},
		admissionregistrationv1.Create, admissionregistrationv1.Update, admissionregistrationv1.Delete)

	others := validating(e, makers, admissionregistrationv1.Ignore)
	others.TimeoutSeconds = new(int32(2))
	others.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{notSystem()}}
	others.MatchConditions = []admissionregistrationv1.MatchCondition{
		{Name: "is-nobodys", Expression: isNobodys}, {Name: "is-changed", Expression: isChanged},
	}
	v := &admissionregistrationv1.ValidatingWebhookConfiguration{
		TypeMeta: metav1.TypeMeta{
			APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingWebhookConfiguration",
		},
		ObjectMeta: metav1.ObjectMeta{Name: Name},
		Webhooks:   []admissionregistrationv1.ValidatingWebhook{own, others},
	}
	s.AdjustValidating(v)
	return v
}

func validating(e Endpoint, name string, policy admissionregistrationv1.FailurePolicyType,
) admissionregistrationv1.ValidatingWebhook {
	return admissionregistrationv1.ValidatingWebhook{
		Name:                    name,
		ClientConfig:            e.client(),
		FailurePolicy:           &policy,
		MatchPolicy:             new(admissionregistrationv1.Equivalent),
		SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
		TimeoutSeconds:          new(int32(5)),
		AdmissionReviewVersions: []string{"v1"},
	}
}

// created matches the creation of a core resource.
func created(resource string) []admissionregistrationv1.RuleWithOperations {
	return rules("", "v1", admissionregistrationv1.NamespacedScope, []string{resource}, admissionregistrationv1.Create)
}

func rules(group, version string, scope admissionregistrationv1.ScopeType, resources []string,
	operations ...admissionregistrationv1.OperationType,
) []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: operations,
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{group}, APIVersions: []string{version}, Resources: resources, Scope: &scope,
		},
	}}
}
