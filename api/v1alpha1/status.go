package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// The conditions of a status, in the style of kstatus: an object is current
// when observedGeneration is its generation and Ready is true; it will not
// become so by itself while Stalled is true.
const (
	ConditionReady   = "Ready"
	ConditionStalled = "Stalled"
)

// The reasons of conditions.
const (
	// ReasonAccepted is of Ready: the object is in force.
	ReasonAccepted = "Accepted"
	// ReasonInvalid is of Ready and Stalled: the object contradicts itself or
	// others, and the message says what would be valid.
	ReasonInvalid = "Invalid"
	// ReasonShadowed is of Ready and Stalled: the object is right and another
	// goes before it.
	ReasonShadowed = "Shadowed"
)

// Figures is a measured amount for people and programs to read: GPUs and CPUs
// as decimals ("2.5"), memory with a binary suffix ("512Gi"). All are valid
// Kubernetes quantities.
type Figures struct {
	// gpu is a number of GPUs.
	// +optional
	GPU string `json:"gpu,omitempty"`
	// cpu is a number of CPUs; omitted where CPU is not counted.
	// +optional
	CPU string `json:"cpu,omitempty"`
	// memory is a number of bytes; omitted where memory is not counted.
	// +optional
	Memory string `json:"memory,omitempty"`
}

// Use is what a department or project has in one node pool or in all.
type Use struct {
	// quota is what is guaranteed.
	// +optional
	Quota Figures `json:"quota,omitempty,omitzero"`
	// requested is what is in use and what is waited for.
	// +optional
	Requested Figures `json:"requested,omitempty,omitzero"`
	// granted is what is in use.
	// +optional
	Granted Figures `json:"granted,omitempty,omitzero"`
	// borrowed is what is in use above the quota.
	// +optional
	Borrowed Figures `json:"borrowed,omitempty,omitzero"`
	// lent is what others use of the quota.
	// +optional
	Lent Figures `json:"lent,omitempty,omitzero"`
	// running is how many pods run.
	// +optional
	Running int32 `json:"running"`
	// waiting is how many pods wait.
	// +optional
	Waiting int32 `json:"waiting"`
}

// PoolUse is what a department or project has in one node pool.
type PoolUse struct {
	// name is the node pool.
	Name string `json:"name"`
	Use  `json:",inline"`
}

// OwnerStatus is what Weir tells of a department or project.
type OwnerStatus struct {
	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready and, where the object cannot become so, Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// total is the sum over the node pools.
	// +optional
	Total Use `json:"total,omitempty,omitzero"`
	// pools is the use of each node pool.
	// +optional
	// +listType=map
	// +listMapKey=name
	Pools []PoolUse `json:"pools,omitempty"`
}
