package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// Amount is how much of a node pool: GPUs, CPU and memory. What an omitted
// field means depends on where the amount stands; see [PoolShare].
type Amount struct {
	// gpu is a number of GPUs with at most six decimals, such as 8 or "2.5".
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('0')) && !quantity(string(self)).isGreaterThan(quantity('1M'))",message="write a number of GPUs from 0 to 1000000, such as 8 or \"2.5\""
	// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self)) || string(self).matches('^[+-]?[0-9]*[.]?([0-9]{0,6}0*([kMGTPE]|[KMGTPE]i|[eE][+]?[0-9]+)?|[0-9]{0,3}0*m|0*u)$') || string(self).matches('000n$')",message="write at most six decimals, the smallest part of a GPU is 0.000001"
	GPU *resource.Quantity `json:"gpu,omitempty"`

	// cpu is a number of CPUs, such as 64 or "500m".
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('0')) && !quantity(string(self)).isGreaterThan(quantity('1G'))",message="write a number of CPUs from 0 to 1000000000, such as 64 or \"500m\""
	// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self)) || string(self).matches('^[+-]?[0-9]*[.]?([0-9]{0,3}0*([kMGTPE]|[KMGTPE]i|[eE][+]?[0-9]+)?|0*m)$') || string(self).matches('000u$|000000n$')",message="write at most three decimals, the smallest part of a CPU is 0.001"
	CPU *resource.Quantity `json:"cpu,omitempty"`

	// memory is a number of bytes, such as "512Gi".
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && !quantity(string(self)).isLessThan(quantity('0')) && !quantity(string(self)).isGreaterThan(quantity('256Pi'))",message="write a number of bytes from 0 to 256Pi, such as \"512Gi\""
	// +kubebuilder:validation:XValidation:rule="!isQuantity(string(self)) || quantity(string(self)).isInteger()",message="write a whole number of bytes, such as \"512Gi\""
	Memory *resource.Quantity `json:"memory,omitempty"`
}

// PoolShare is what a department or project is guaranteed and allowed in one
// node pool.
//
// +kubebuilder:validation:XValidation:rule="!has(self.quota) || !has(self.limit) || !has(self.quota.gpu) || !has(self.limit.gpu) || !isQuantity(string(self.quota.gpu)) || !isQuantity(string(self.limit.gpu)) || !quantity(string(self.quota.gpu)).isGreaterThan(quantity(string(self.limit.gpu)))",fieldPath=".quota.gpu",messageExpression="'quota.gpu is ' + string(self.quota.gpu) + ', above limit.gpu: write at most ' + string(self.limit.gpu) + ', or raise or omit limit.gpu'"
// +kubebuilder:validation:XValidation:rule="!has(self.quota) || !has(self.limit) || !has(self.quota.cpu) || !has(self.limit.cpu) || !isQuantity(string(self.quota.cpu)) || !isQuantity(string(self.limit.cpu)) || !quantity(string(self.quota.cpu)).isGreaterThan(quantity(string(self.limit.cpu)))",fieldPath=".quota.cpu",messageExpression="'quota.cpu is ' + string(self.quota.cpu) + ', above limit.cpu: write at most ' + string(self.limit.cpu) + ', or raise or omit limit.cpu'"
// +kubebuilder:validation:XValidation:rule="!has(self.quota) || !has(self.limit) || !has(self.quota.memory) || !has(self.limit.memory) || !isQuantity(string(self.quota.memory)) || !isQuantity(string(self.limit.memory)) || !quantity(string(self.quota.memory)).isGreaterThan(quantity(string(self.limit.memory)))",fieldPath=".quota.memory",messageExpression="'quota.memory is ' + string(self.quota.memory) + ', above limit.memory: write at most ' + string(self.limit.memory) + ', or raise or omit limit.memory'"
type PoolShare struct {
	// name is the node pool.
	// +optional
	// +kubebuilder:default=default
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// quota is guaranteed: what others borrow of it comes back on demand.
	// An omitted gpu is 0; an omitted cpu or memory is not counted.
	// +optional
	Quota Amount `json:"quota,omitempty,omitzero"`

	// limit caps the use, borrowed included. What is omitted has no cap.
	// +optional
	Limit Amount `json:"limit,omitempty,omitzero"`

	// weight divides the surplus among siblings of the same priority. 0
	// borrows last.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 1000000",message="write a whole number from 0 to 1000000"
	Weight *int64 `json:"weight,omitempty"`

	// priority orders siblings: the surplus goes to higher ones first.
	// +optional
	// +kubebuilder:default=0
	Priority int32 `json:"priority,omitempty"`
}
