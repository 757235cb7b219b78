package install

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/admit"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/workload"
)

// The labels by which ClusterRoles add to those that are made of others.
// Whoever writes a WorkloadRule for a kind lets Weir, and those who look at
// Weir, see objects of the kind with a ClusterRole that has the first.
const (
	labelKinds = "weir.dev/kinds"
	labelRead  = "weir.dev/read"
)

// looked is what scheduling depends on, by API group: followed by Weir, and
// read by everybody who asks why something waits.
var looked = []rbacv1.PolicyRule{
	read("", "nodes", "namespaces", "pods", "persistentvolumes", "persistentvolumeclaims"),
	read("storage.k8s.io", "storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments"),
	read("scheduling.k8s.io", "priorityclasses"),
	read("policy", "poddisruptionbudgets"),
	read("resource.k8s.io", "resourceslices", "resourceclaims", "resourceclaimtemplates"),
	read(v1alpha1.GroupVersion.Group, "departments", "projects", "nodepools", "workloadrules"),
}

func read(group string, resources ...string) rbacv1.PolicyRule {
	return may(group, resources, "list", "watch")
}

func may(group string, resources []string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
}

func named(r rbacv1.PolicyRule, names ...string) rbacv1.PolicyRule {
	r.ResourceNames = names
	return r
}

// weirRules is what Weir does in all namespaces, beside looking at the owners
// of pods.
func weirRules() []rbacv1.PolicyRule {
	one := func(resource string) []string { return []string{resource} }
	return append(slices.Clone(looked),
		// Starting pods. The API server asks for resourceclaims/binding, which
		// is no resource that can be read, before it takes an allocation.
		may("", one("pods/binding"), "create"),
		may("", one("pods"), "get"), // after an answer that was lost: is it bound?
		may("resource.k8s.io", one("resourceclaims"), "get", "create"),
		may("resource.k8s.io", []string{"resourceclaims/status", "resourceclaims/binding"}, "update"),
		may("", []string{"persistentvolumes", "persistentvolumeclaims"}, "update"),
		// Stopping pods.
		may("", one("pods"), "delete", "patch"), // a Job's own are no failures of it
		may("", one("pods/eviction"), "create"),
		// Telling people.
		may("", one("pods/status"), "patch"),
		may("events.k8s.io", one("events"), "create"),
		may(v1alpha1.GroupVersion.Group,
			[]string{"departments/status", "projects/status", "nodepools/status", "workloadrules/status"}, "patch"),
		// Admission: what was made a moment ago, a template for each shape, and
		// where the webhook is.
		may(v1alpha1.GroupVersion.Group, []string{"departments", "projects", "nodepools"}, "get"),
		may("resource.k8s.io", one("resourceclaimtemplates"), "get", "create"),
		named(may("admissionregistration.k8s.io",
			[]string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}, "get", "update"), admit.Name),
	)
}

// ownRules is what Weir does in its own namespace: agree on who decides, and
// keep the webhook's certificate.
func ownRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		may("coordination.k8s.io", []string{"leases"}, "create"), // which the API cannot bound by name
		named(may("coordination.k8s.io", []string{"leases"}, "get", "update"), ask.Lease),
		named(may("", []string{"secrets"}, "get", "update"), SecretName),
	}
}

// kindRules is what lets Weir look at the owners of pods that it knows itself.
func kindRules() []rbacv1.PolicyRule {
	groups := map[string][]string{}
	for _, gvk := range workload.Builtin().Kinds() {
		resource, _ := meta.UnsafeGuessKindToResource(gvk)
		groups[gvk.Group] = append(groups[gvk.Group], resource.Resource)
	}
	var rules []rbacv1.PolicyRule
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		rules = append(rules, read(group, groups[group]...))
	}
	return rules
}

// readRules is what people need for `weir list`, `top`, `explain`, `describe`
// and the like, beside the owners of pods.
func readRules() []rbacv1.PolicyRule {
	return append(slices.Clone(looked),
		may(v1alpha1.GroupVersion.Group, []string{"departments", "projects", "nodepools", "workloadrules"}, "get"),
		may("", []string{"pods"}, "get"),
		may("", []string{"events"}, "list"),
		may("batch", []string{"cronjobs"}, "list"),
	)
}

// adminRules is what those need who give teams their quotas, beside reading.
func adminRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		may(v1alpha1.GroupVersion.Group, []string{"departments", "projects", "nodepools", "workloadrules"},
			"create", "update", "patch", "delete"),
		may("", []string{"namespaces"}, "create"), // of new projects
	}
}

func clusterRole(name string, rules []rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: about(name, ""),
		Rules:      rules,
	}
}

// adding is a ClusterRole that adds to those made of ones with the label.
func adding(label string, role *rbacv1.ClusterRole) *rbacv1.ClusterRole {
	role.Labels[label] = "true"
	return role
}

// madeOf is a ClusterRole that the cluster puts together of those with any of
// the labels.
func madeOf(name string, labels ...string) *rbacv1.ClusterRole {
	role := clusterRole(name, nil)
	role.AggregationRule = &rbacv1.AggregationRule{}
	for _, label := range labels {
		role.AggregationRule.ClusterRoleSelectors = append(role.AggregationRule.ClusterRoleSelectors,
			metav1.LabelSelector{MatchLabels: map[string]string{label: "true"}})
	}
	return role
}

// account is who Weir is.
var account = []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: Name, Namespace: Namespace}}

func boundEverywhere(role string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
		ObjectMeta: about(role, ""),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   account,
	}
}

func ownRole() *rbacv1.Role {
	return &rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
		ObjectMeta: about(Name, Namespace),
		Rules:      ownRules(),
	}
}

func boundHere() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: about(Name, Namespace),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: Name},
		Subjects:   account,
	}
}
