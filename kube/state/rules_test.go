package state

import (
	"strings"
	"testing"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// bands are pods that join by label the Band they name; the members of a Band
// are made by somebody else, so the rule has no pods.
const bands = `
---
{apiVersion: weir.dev/v1alpha1, kind: WorkloadRule, metadata: {name: band}, spec: {
 object: {apiVersion: example.com/v1, kind: Band}, nameLabel: example.com/band, min: object.spec.size}}
---
{apiVersion: weir.dev/v1alpha1, kind: WorkloadRule, metadata: {name: later}, spec: {
 object: {apiVersion: example.com/v1, kind: Band}, nameLabel: example.com/other}}
---
{apiVersion: example.com/v1, kind: Band, metadata: {name: trio, namespace: ml}, spec: {size: 3}}
---
{apiVersion: example.com/v1, kind: Band, metadata: {name: solo, namespace: ml}, spec: {}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ml, uid: a, labels: {example.com/band: trio}},
 spec: {schedulerName: weir, containers: [{name: main}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: ml, uid: b, labels: {example.com/band: trio}},
 spec: {schedulerName: weir, containers: [{name: main}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: c, namespace: ml, uid: c, labels: {example.com/band: solo}},
 spec: {schedulerName: weir, containers: [{name: main}]}}
`

func TestRulesTellHowTheyFare(t *testing.T) {
	all := objects(t, ground+bands)
	s, l := tellAll(t, all)
	if w, ok := s.Workload("ml/band/trio"); !ok || w.Spec.Min != 3 || len(w.Pods) != 2 {
		t.Errorf("the pods that name the trio are %+v", w)
	}
	uses := s.RuleUses()
	if len(uses) != 2 || uses[0].Name != "band" || uses[0].Ahead != "" || uses[0].Workloads != 2 || uses[0].Failing != 1 ||
		!strings.Contains(uses[0].Failure, "Band ml/solo: rule band: spec.min") {
		t.Errorf("the rule in force: %+v", uses)
	}
	if uses[1].Ahead != "band" || uses[1].Workloads != 0 {
		t.Errorf("the rule behind it: %+v", uses[1])
	}
	for _, obj := range all[len(all)-4:] { // the Band that the rule fails on, and all pods
		l.apply(s.Delete(obj))
	}
	if uses = s.RuleUses(); uses[0].Workloads != 0 || uses[0].Failing != 0 {
		t.Errorf("after all is gone: %+v", uses[0])
	}
	for _, obj := range all {
		if rule, ok := obj.(*v1alpha1.WorkloadRule); ok && rule.Name == "band" {
			l.apply(s.Delete(obj))
		}
	}
	if uses = s.RuleUses(); len(uses) != 1 || uses[0].Ahead != "" {
		t.Errorf("the rule behind is not in force: %+v", uses)
	}
}

func TestNodesOfTwoPoolsAreToldOf(t *testing.T) {
	all := objects(t, `
---
{apiVersion: weir.dev/v1alpha1, kind: NodePool, metadata: {name: b}, spec: {nodeSelector: {gpu: big}}}
---
{apiVersion: weir.dev/v1alpha1, kind: NodePool, metadata: {name: a}, spec: {nodeSelector: {rack: one}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {gpu: big, rack: one}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2, labels: {gpu: big}}}
`)
	s, l := tellAll(t, all)
	got := s.Overlapped()
	if len(got) != 1 || !strings.HasPrefix(got["b"], "1 node that it selects, such as n1, belong") ||
		!strings.Contains(got["b"], "to pool a") {
		t.Errorf("it is said %q", got)
	}
	l.apply(s.Delete(all[2]))
	if got := s.Overlapped(); len(got) != 0 {
		t.Errorf("after the node is gone it is said %q", got)
	}
}
