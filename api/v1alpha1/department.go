package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Department is an inner node of the owner tree: a group of projects, or of
// departments, that share quotas.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=dept,categories=weir
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Quota",type=string,JSONPath=`.status.total.quota.gpu`,description="GPUs guaranteed"
// +kubebuilder:printcolumn:name="Granted",type=string,JSONPath=`.status.total.granted.gpu`,description="GPUs in use"
// +kubebuilder:printcolumn:name="Borrowed",type=string,JSONPath=`.status.total.borrowed.gpu`,description="GPUs above quota"
// +kubebuilder:printcolumn:name="Lent",type=string,JSONPath=`.status.total.lent.gpu`,description="GPUs of the quota that others use"
// +kubebuilder:printcolumn:name="Waiting",type=integer,JSONPath=`.status.total.waiting`,description="Pods that wait"
// +kubebuilder:printcolumn:name="Parent",type=string,JSONPath=`.spec.parent`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.parent) || self.spec.parent != self.metadata.name",fieldPath=".spec.parent",messageExpression="'spec.parent is ' + self.spec.parent + ', the department itself: name another department, or omit it for a top-level one'"
type Department struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec DepartmentSpec `json:"spec,omitempty"`
	// +optional
	Status OwnerStatus `json:"status,omitempty,omitzero"`
}

// DepartmentSpec is what people write of a department.
type DepartmentSpec struct {
	// parent is the department that this one is part of; omitted, it is a
	// top-level one.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Parent string `json:"parent,omitempty"`

	// pools is what the department has in each node pool; omitted, it has no
	// quota and no limit in the pool "default".
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Pools []PoolShare `json:"pools,omitempty"`
}

// DepartmentList is a list of departments.
//
// +kubebuilder:object:root=true
type DepartmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Department `json:"items"`
}
