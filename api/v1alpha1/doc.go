// Package v1alpha1 holds the nouns that people write for Weir: Department,
// Project, NodePool and WorkloadRule, all of them cluster-scoped, in the API
// group weir.dev.
//
// The rules that one object can break by itself are CEL rules in the schema,
// so the API server refuses it without Weir's help; the rules between objects
// are in package tree. Department, Project and NodePool also turn themselves
// into what the engine takes (package sched), exactly or not at all.
//
// What it does not do: it reads no cluster and decides nothing.
//
// +kubebuilder:object:generate=true
// +groupName=weir.dev
package v1alpha1

//go:generate go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.21.0 object paths=. crd paths=. output:crd:dir=../crds
