package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Project is a leaf of the owner tree: workloads belong to it by their
// namespace or by their label weir.dev/project.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=proj,categories=weir
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Department",type=string,JSONPath=`.spec.department`
// +kubebuilder:printcolumn:name="Quota",type=string,JSONPath=`.status.total.quota.gpu`,description="GPUs guaranteed"
// +kubebuilder:printcolumn:name="Granted",type=string,JSONPath=`.status.total.granted.gpu`,description="GPUs in use"
// +kubebuilder:printcolumn:name="Borrowed",type=string,JSONPath=`.status.total.borrowed.gpu`,description="GPUs above quota"
// +kubebuilder:printcolumn:name="Lent",type=string,JSONPath=`.status.total.lent.gpu`,description="GPUs of the quota that others use"
// +kubebuilder:printcolumn:name="Waiting",type=integer,JSONPath=`.status.total.waiting`,description="Pods that wait"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Project struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec ProjectSpec `json:"spec,omitempty"`
	// +optional
	Status OwnerStatus `json:"status,omitempty,omitzero"`
}

// ProjectSpec is what people write of a project.
//
// +kubebuilder:validation:XValidation:rule="!has(self.poolOrder) || self.poolOrder.all(p, has(self.pools) && size(self.pools) > 0 ? self.pools.exists(q, q.name == p) : p == 'default')",fieldPath=".poolOrder",messageExpression="'poolOrder is ' + self.poolOrder.join(', ') + ': name only node pools that stand in pools, or default where pools is omitted'"
type ProjectSpec struct {
	// department is the department that the project is part of; omitted, it
	// stands beside the departments.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Department string `json:"department,omitempty"`

	// namespaces are those whose pods belong to the project; omitted, it is
	// the one with the project's own name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="write the name of a namespace, of lower-case letters, digits and dashes"
	Namespaces []string `json:"namespaces,omitempty"`

	// pools is what the project has in each node pool; omitted, it has no
	// quota and no limit in the pool "default".
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Pools []PoolShare `json:"pools,omitempty"`

	// poolOrder is the order in which node pools are tried for workloads that
	// name none; omitted, it is the order of pools by name.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=63
	PoolOrder []string `json:"poolOrder,omitempty"`

	// discipline is the order among the project's workloads of equal priority:
	// "fifo", by age; "shortest", by the GPU time that each is expected to need
	// yet; or "service", by the GPU time that each had so far, the least first,
	// and work that had more is suspended for it, where it can be. The latter two
	// tell GPU times apart by a few levels only, and go by age within one.
	// +optional
	// +kubebuilder:default=fifo
	Discipline Discipline `json:"discipline,omitempty"`
}

// Discipline is an order among a project's workloads.
//
// +kubebuilder:validation:Enum=fifo;shortest;service
type Discipline string

// The disciplines.
const (
	FIFO     Discipline = "fifo"
	Shortest Discipline = "shortest"
	Service  Discipline = "service"
)

// ProjectList is a list of projects.
//
// +kubebuilder:object:root=true
type ProjectList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Project `json:"items"`
}
