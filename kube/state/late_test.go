package state

import (
	"fmt"
	"strings"
	"testing"
)

func TestWhatMakesNoSenseIsAProblemAndStopsNothing(t *testing.T) {
	for _, tt := range []struct{ name, objects, want string }{
		{"a share that is no number", `
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: ml, uid: u, annotations: {weir.dev/gpu-fraction: half}},
 spec: {schedulerName: weir}}`,
			`Pod ml/x: weir.dev/gpu-fraction "half" is not a decimal number`},
		{"a kind of workload that does not exist", `
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: ml, uid: u, annotations: {weir.dev/kind: play}},
 spec: {schedulerName: weir}}`,
			`Pod ml/x: weir.dev/kind "play" is not a kind of workload`},
		{"a circle of departments", `
---
{apiVersion: weir.dev/v1alpha1, kind: Department, metadata: {name: a}, spec: {parent: b}}
---
{apiVersion: weir.dev/v1alpha1, kind: Department, metadata: {name: b}, spec: {parent: a}}`,
			`Department a: department/a is above itself`},
		{"a department that does not exist", `
---
{apiVersion: weir.dev/v1alpha1, kind: Project, metadata: {name: p}, spec: {department: nowhere}}`,
			`Project p: spec names department/nowhere, which does not exist`},
		{"a negative quota", `
---
{apiVersion: weir.dev/v1alpha1, kind: Project, metadata: {name: p}, spec: {pools: [{quota: {gpu: -1}}]}}`,
			`Project p: spec.pools[0].quota.gpu`},
		{"a rule that is no rule", `
---
{apiVersion: weir.dev/v1alpha1, kind: WorkloadRule, metadata: {name: r}, spec: {object: {apiVersion: v1, kind: X},
 min: "((", pods: []}}`,
			`WorkloadRule r: rule r: spec.min "((" is not valid CEL`},
		{"a slice without a node", `
---
{apiVersion: resource.k8s.io/v1, kind: ResourceSlice, metadata: {name: s}, spec: {driver: gpu.weir.dev, allNodes: true,
 pool: {name: p, resourceSliceCount: 1}}}`, `ResourceSlice s: spec.nodeName is empty`},
		{"a device without memory", `
---
{apiVersion: v1, kind: Node, metadata: {name: n5}}
---
{apiVersion: resource.k8s.io/v1, kind: ResourceSlice, metadata: {name: s}, spec: {driver: gpu.weir.dev, nodeName: n5,
 pool: {name: n5, resourceSliceCount: 1}, devices: [{name: gpu-0}]}}`,
			`Node n5: ResourceSlice s: device gpu-0: capacity memory is missing`},
		{"a gang that does not exist", `
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: ml, uid: u, labels: {scheduling.x-k8s.io/pod-group: g}},
 spec: {schedulerName: weir}}`,
			`Pod ml/x: PodGroup ml/g, which the pod belongs to, does not exist`},
		{"a Job whose annotation is wrong", `
---
{apiVersion: batch/v1, kind: Job, metadata: {name: j, namespace: ml, annotations: {weir.dev/min-pods: none}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: ml, uid: u, ownerReferences: [
 {apiVersion: batch/v1, kind: Job, name: j, controller: true, uid: j}]}, spec: {schedulerName: weir}}`,
			`Workload ml/j: weir.dev/min-pods "none" is not a whole number`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := objects(t, ground+weirPod("fine", "", "")+tt.objects)
			s, l := tellAll(t, all)
			if l.pods["ml/fine"] == nil {
				t.Errorf("another pod suffers:\n%s", l)
			}
			var found []string
			for _, p := range s.Problems() {
				found = append(found, fmt.Sprintf("%s %s: %s", p.Kind, p.ID, p.Message))
			}
			if !strings.Contains(strings.Join(found, "\n"), tt.want) {
				t.Errorf("problems:\n%s\nwant %s", strings.Join(found, "\n"), tt.want)
			}
			for _, o := range all {
				l.apply(s.Delete(o))
			}
			if len(s.Problems()) != 0 || len(s.pods)+len(s.groups)+len(s.roots)+len(s.claims) != 0 {
				t.Errorf("left behind: %v %v %v %v", s.Problems(), s.pods, s.groups, s.roots)
			}
		})
	}
}

func TestTellingAThingTwiceTellsNothing(t *testing.T) {
	all := objects(t, ground+slicesOfN2+chain+weirPod("x", "nodeName: n1,", ""))
	s, _ := tellAll(t, all)
	for _, o := range all {
		if events := s.Set(o); len(events) != 0 {
			t.Errorf("%T again: %+v", o, events)
		}
	}
}
