package v1alpha1

import (
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultPool is the pool of every node that no NodePool selects. It needs no
// object; a NodePool of this name sets how the pool is placed in.
const DefaultPool = "default"

// DefaultSurplusRuntime is the spec.surplusRuntime of a pool that has none
// written, or no object.
const DefaultSurplusRuntime = 5 * time.Minute

// NodePool is a named set of nodes. A node that several pools select belongs
// to the first of them by name.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=npool,categories=weir
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Nodes",type=integer,JSONPath=`.status.nodes`
// +kubebuilder:printcolumn:name="GPUs",type=string,JSONPath=`.status.capacity.gpu`
// +kubebuilder:printcolumn:name="Granted",type=string,JSONPath=`.status.granted.gpu`,description="GPUs in use"
// +kubebuilder:printcolumn:name="Placement",type=string,JSONPath=`.spec.placement.gpu`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'default' || (has(self.spec) && has(self.spec.nodeSelector) && size(self.spec.nodeSelector) > 0)",fieldPath=".spec",message="spec.nodeSelector is empty, which would take every node: name at least one label"
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'default' || !has(self.spec) || !has(self.spec.nodeSelector) || size(self.spec.nodeSelector) == 0",fieldPath=".spec.nodeSelector",message="spec.nodeSelector is set on the pool default, which takes the nodes that no other pool selects: omit it, or give the pool another name"
type NodePool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec NodePoolSpec `json:"spec,omitempty"`
	// +optional
	Status NodePoolStatus `json:"status,omitempty,omitzero"`
}

// NodePoolSpec is what people write of a node pool.
type NodePoolSpec struct {
	// nodeSelector is the labels, all of them, that a node of the pool has.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// placement is how pods are placed in the pool.
	// +optional
	Placement Placement `json:"placement,omitempty,omitzero"`

	// surplusRuntime is how long started work on borrowed quota is left alone
	// by others of the same priority who would borrow in its place; "0s" is not
	// at all. Who is within quota does not wait for it, and neither does a
	// higher priority.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="size(self) > 0 && self.matches('^([0-9]{1,6}([.][0-9]{1,3})?h)?([0-9]{1,5}([.][0-9]{1,3})?m)?([0-9]{1,7}([.][0-9]{1,3})?s)?([0-9]{1,7}ms)?$')",message="write hours, minutes and seconds such as \"5m\" or \"1h30m\", or \"0s\" for none"
	SurplusRuntime *metav1.Duration `json:"surplusRuntime,omitempty"`

	// surplus is how what nobody is guaranteed is divided among owners of one
	// priority: "share", by how much each has of it, over its weight; or
	// "service", by how little each workload was served so far. Under "service"
	// work that was served more is suspended for work that was served less, where
	// it can be; none is stopped for it.
	// +optional
	// +kubebuilder:default=share
	Surplus Surplus `json:"surplus,omitempty"`

	// pricePerGPUHour is what one GPU of the pool costs an hour, in a currency
	// of your choice; it is shown, and decides nothing.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('0'))",message="write a number from 0, such as \"2.5\""
	PricePerGPUHour *resource.Quantity `json:"pricePerGPUHour,omitempty"`
}

// Surplus is a way to divide what nobody is guaranteed.
//
// +kubebuilder:validation:Enum=share;service
type Surplus string

// The ways to divide surplus.
const (
	ByShare   Surplus = "share"
	ByService Surplus = "service"
)

// PlacementRule is how a node is chosen among those that fit.
type PlacementRule string

// The placement rules.
const (
	// Pack fills nodes one after the other.
	Pack PlacementRule = "pack"
	// Spread takes the emptiest node.
	Spread PlacementRule = "spread"
	// FGD takes the node where the least room becomes useless to other work.
	FGD PlacementRule = "fgd"
	// Dense takes the place that costs the pods to come the least.
	Dense PlacementRule = "dense"
)

// Placement is how pods are placed in a pool.
type Placement struct {
	// gpu is for pods with GPUs: pack, spread, fgd or dense. The last two place
	// pods without GPUs as well.
	// +optional
	// +kubebuilder:default=pack
	// +kubebuilder:validation:Enum=pack;spread;fgd;dense
	GPU PlacementRule `json:"gpu,omitempty"`

	// cpu is for pods without GPUs: pack or spread. It says nothing where gpu is
	// fgd or dense.
	// +optional
	// +kubebuilder:default=pack
	// +kubebuilder:validation:Enum=pack;spread
	CPU PlacementRule `json:"cpu,omitempty"`
}

// NodePoolStatus is what Weir tells of a node pool.
type NodePoolStatus struct {
	// observedGeneration is the generation of the spec that this status is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready and, where the pool cannot become so, Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// nodes is how many nodes the pool has.
	// +optional
	Nodes int32 `json:"nodes,omitempty"`
	// capacity is what the nodes of the pool have.
	// +optional
	Capacity Figures `json:"capacity,omitempty,omitzero"`
	// granted is what is in use of it.
	// +optional
	Granted Figures `json:"granted,omitempty,omitzero"`
}

// NodePoolList is a list of node pools.
//
// +kubebuilder:object:root=true
type NodePoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NodePool `json:"items"`
}
