// Package workload groups pods into workloads. Which kinds of objects own
// pods, how many of their pods have to start together, and where their pod
// templates are is said by rules: data, with expressions in CEL. The built-in
// rules in the folder rules are written in the same form as the WorkloadRule
// objects by which a cluster teaches Weir any other kind.
//
// The package evaluates rules and names workloads. It keeps no state and looks
// nothing up: package kube/state follows the owners of pods, and package
// kube/plan expands templates into the pods that a controller would make.
package workload
