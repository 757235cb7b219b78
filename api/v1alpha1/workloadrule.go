package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WorkloadRule says how the pods of one kind of object form workloads, so that
// a new kind of object needs a rule and no code. Its expressions are CEL with
// the variable object, the object as it is in the API; those of group also
// have the variable pod. A path that does not exist is an error; guard
// optional ones with has() or write them as object.?spec.?x.orValue(1).
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=wlrule,categories=weir
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="API version",type=string,JSONPath=`.spec.object.apiVersion`
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.object.kind`
// +kubebuilder:printcolumn:name="Workload kind",type=string,JSONPath=`.spec.workloadKind`
// +kubebuilder:printcolumn:name="Workloads",type=integer,JSONPath=`.status.workloads`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type WorkloadRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec WorkloadRuleSpec `json:"spec"`
	// +optional
	Status WorkloadRuleStatus `json:"status,omitempty,omitzero"`
}

// WorkloadRuleSpec is what people write of a rule.
//
// +kubebuilder:validation:XValidation:rule="has(self.pods) && size(self.pods) > 0 || has(self.nameLabel) && size(self.nameLabel) > 0",fieldPath=".pods",message="spec.pods is empty: say where the object's pod templates are, or set spec.nameLabel if pods name their object by a label"
// +kubebuilder:validation:XValidation:rule="!has(self.groups) || has(self.pods) && size(self.pods) > 0",fieldPath=".groups",message="spec.groups counts gangs of spec.pods, which is empty: omit it, or write spec.pods"
type WorkloadRuleSpec struct {
	// object is the kind of object that the rule is for.
	// +required
	Object ObjectKind `json:"object"`

	// nameLabel is the pod label that holds the object's name; omitted, pods
	// belong to the object by their chain of controller references.
	// +optional
	// +kubebuilder:validation:MaxLength=316
	NameLabel string `json:"nameLabel,omitempty"`

	// workloadKind is what the workloads are for: build, train or infer.
	// +optional
	// +kubebuilder:default=train
	// +kubebuilder:validation:Enum=build;train;infer
	WorkloadKind string `json:"workloadKind,omitempty"`

	// preemptible says whether the workloads may be taken back when they run
	// on borrowed quota; omitted, what is usual for workloadKind.
	// +optional
	Preemptible *bool `json:"preemptible,omitempty"`

	// priority is a whole number; omitted, what is usual for workloadKind.
	// +optional
	Priority Expression `json:"priority,omitempty"`

	// suspended is true while the object asks for no pods to start.
	// +optional
	Suspended Expression `json:"suspended,omitempty"`

	// group names, for a pod, the gang inside the object that it is part of;
	// omitted, all pods of the object are one gang.
	// +optional
	Group Expression `json:"group,omitempty"`

	// groups is how many gangs the object has; omitted, 1.
	// +optional
	Groups Expression `json:"groups,omitempty"`

	// min is how many pods of a gang have to run for any to run; omitted, all
	// of them, or 1 where pods is omitted too.
	// +optional
	Min Expression `json:"min,omitempty"`

	// pods says what pods each gang will have. It may be omitted with
	// nameLabel: objects whose pods somebody else makes have no templates.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Pods []PodSet `json:"pods,omitempty"`
}

// Expression is a CEL expression.
//
// +kubebuilder:validation:MaxLength=4096
type Expression string

// ObjectKind names a kind of object.
type ObjectKind struct {
	// apiVersion is group/version, or the version alone for the core group.
	// +required
	// +kubebuilder:validation:MaxLength=316
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9.-]+/)?v[a-z0-9]+$')",message="write group/version, such as batch/v1"
	APIVersion string `json:"apiVersion"`
	// kind is the kind as it stands in the object.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Z][A-Za-z0-9]*$')",message="write it as it stands in the object, such as Job"
	Kind string `json:"kind"`
}

// PodSet is a number of equal pods in each gang of an object.
type PodSet struct {
	// name is for people, such as leader or worker.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// count is how many pods of the set each gang has; omitted, 1.
	// +optional
	Count Expression `json:"count,omitempty"`

	// template is where the pod template is, such as object.spec.template.
	// +required
	// +kubebuilder:validation:MinLength=1
	Template Expression `json:"template"`
}

// WorkloadRuleStatus is what Weir tells of a rule.
type WorkloadRuleStatus struct {
	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready and, where the rule cannot be used, Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// workloads is how many workloads the rule groups now.
	// +optional
	Workloads int32 `json:"workloads"`
}

// WorkloadRuleList is a list of rules.
//
// +kubebuilder:object:root=true
type WorkloadRuleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WorkloadRule `json:"items"`
}
