package state

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
	_ "github.com/weir-gpu/weir/test/seed"
)

// world is one of every kind of object, with everything that makes one depend
// on another.
var world = ground + slicesOfN2 + chain + ranInThird + `
---
{apiVersion: weir.dev/v1alpha1, kind: Department, metadata: {name: circle1}, spec: {parent: circle2}}
---
{apiVersion: weir.dev/v1alpha1, kind: Department, metadata: {name: circle2}, spec: {parent: circle1}}
---
{apiVersion: weir.dev/v1alpha1, kind: Department, metadata: {name: vision}, spec: {parent: research}}
---
{apiVersion: weir.dev/v1alpha1, kind: Project, metadata: {name: other}, spec: {department: vision,
 discipline: shortest, namespaces: [other, ml]}}
---
{apiVersion: weir.dev/v1alpha1, kind: Project, metadata: {name: round}, spec: {department: circle2}}
---
{apiVersion: weir.dev/v1alpha1, kind: NodePool, metadata: {name: a},
 spec: {nodeSelector: {nvidia.com/gpu.product: NVIDIA-A100}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: third, labels: {weir.dev/project: other}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: train, namespace: ml, annotations: {weir.dev/min-pods: "2"}},
 spec: {parallelism: 3}}
---
{apiVersion: v1, kind: Pod, metadata: {name: train-0, namespace: ml, uid: t0, ownerReferences: [
 {apiVersion: batch/v1, kind: Job, name: train, controller: true, uid: j}], labels: {app: train}},
 spec: {schedulerName: weir, nodeName: n1, containers: [{name: main, resources: {limits: {nvidia.com/gpu: 1,
 cpu: 1}}}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: train-1, namespace: ml, uid: t1,
 annotations: {weir.dev/gpu-models: a100}, ownerReferences: [
 {apiVersion: batch/v1, kind: Job, name: train, controller: true, uid: j}]},
 spec: {schedulerName: weir, containers: [{name: main, resources: {limits: {nvidia.com/gpu: 1}}}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: member, namespace: third, uid: m,
 labels: {scheduling.x-k8s.io/pod-group: gang}},
 spec: {schedulerName: weir}}
---
{apiVersion: scheduling.x-k8s.io/v1alpha1, kind: PodGroup, metadata: {name: gang, namespace: third},
 spec: {minMember: 2}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b, namespace: ml},
 spec: {selector: {matchLabels: {app: train}}}}
---
{apiVersion: weir.dev/v1alpha1, kind: WorkloadRule, metadata: {name: myjob}, spec: {object: {apiVersion: batch/v1,
 kind: Job},
 workloadKind: infer, min: "5", pods: []}}
---
{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: c, namespace: ml}, spec: {devices: {requests: [
 {name: gpu, exactly: {deviceClassName: gpu.weir.dev}}]}}, status: {reservedFor: [{resource: pods, name: shared,
 uid: s}],
 allocation: {devices: {results: [{request: gpu, driver: gpu.weir.dev, pool: n2, device: gpu-0,
 consumedCapacity: {memory: 80Gi, compute: "1000"}}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: shared, namespace: ml, uid: s},
 spec: {schedulerName: weir, nodeName: n2, resourceClaims: [{name: weir-gpu, resourceClaimName: c}]}}
---
{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: d, namespace: ml}, spec: {devices: {requests: [
 {name: gpu, exactly: {deviceClassName: gpu.weir.dev}}]}}, status: {reservedFor: [{resource: pods, name: gone, uid: g}],
 allocation: {devices: {results: [{request: gpu, driver: gpu.weir.dev, pool: n2, device: gpu-1}]}}}}
---
{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: both, namespace: ml}, spec: {devices: {requests: [
 {name: gpu, exactly: {deviceClassName: gpu.weir.dev}}]}}, status: {reservedFor: [{resource: pods, name: gone, uid: g},
 {resource: pods, name: driver, uid: dr}],
 allocation: {devices: {results: [{request: gpu, driver: gpu.weir.dev, pool: n2, device: gpu-1}]}}}}
---
{apiVersion: resource.k8s.io/v1, kind: ResourceClaimTemplate, metadata: {name: t, namespace: ml},
 spec: {spec: {devices: {requests: [
 {name: gpu, exactly: {deviceClassName: gpu.weir.dev, count: 2}}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: templated, namespace: ml, uid: tp},
 spec: {schedulerName: weir, resourceClaims: [{name: x, resourceClaimTemplateName: t}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: daemon, namespace: kube-system, uid: ds},
 spec: {schedulerName: default-scheduler, nodeName: n1, containers: [{name: main, resources: {requests: {cpu: 100m}}}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: driver, namespace: ml, uid: dr}, spec: {schedulerName: weir}}
---
{apiVersion: v1, kind: Pod, metadata: {name: executor, namespace: ml, uid: ex, ownerReferences: [
 {apiVersion: v1, kind: Pod, name: driver, controller: true, uid: dr}]}, spec: {schedulerName: weir}}
---
{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, metadata: {name: serve, namespace: ml},
 spec: {replicas: 1, leaderWorkerTemplate: {size: 2}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: serve, namespace: ml, ownerReferences: [
 {apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, name: serve, controller: true, uid: lws}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: serve-0, namespace: ml, uid: s0,
 labels: {leaderworkerset.sigs.k8s.io/group-index: "0"}, ownerReferences: [
 {apiVersion: apps/v1, kind: StatefulSet, name: serve, controller: true, uid: sts}]}, spec: {schedulerName: weir}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: serve-0, namespace: ml, ownerReferences: [
 {apiVersion: v1, kind: Pod, name: serve-0, controller: true, uid: s0}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: serve-0-1, namespace: ml, uid: s01,
 labels: {leaderworkerset.sigs.k8s.io/group-index: "0"}, ownerReferences: [
 {apiVersion: apps/v1, kind: StatefulSet, name: serve-0, controller: true, uid: sts0}]}, spec: {schedulerName: weir}}
---
{apiVersion: v1, kind: Pod, metadata: {name: stray, namespace: nowhere, uid: st},
 spec: {schedulerName: weir, nodeName: n2, containers: [{name: main, resources: {requests: {cpu: 100m}}}]}}
`

// ranInThird are pods that ended, and one that is expected to run as long.
var ranInThird = strings.ReplaceAll(ranPods("eval", 9, 10, 12, 90)+weirPod("eval-9", "", ""),
	"namespace: ml", "namespace: third")

// TestAnyOrderEndsInTheSameFacts tells of the same objects in two orders, one
// of them with detours: objects that are there for a while, and older versions
// of those that stay. The facts are the same, and so is what an engine says.
func TestAnyOrderEndsInTheSameFacts(t *testing.T) {
	all := objects(t, world)
	rapid.Check(t, func(t *rapid.T) {
		stay := map[any]bool{}
		var final []any
		for i, o := range all {
			if i == 0 || rapid.IntRange(0, 9).Draw(t, "stays") > 0 {
				stay[o] = true
				final = append(final, o)
			}
		}
		s1, straight := tellAll(t, final)

		s2, detour := New(Config{}), newLedger(t)
		for _, o := range rapid.Permutation(all).Draw(t, "first") {
			if rapid.Bool().Draw(t, "told") {
				detour.apply(s2.Set(older(o, rapid.IntRange(0, 3).Draw(t, "age"))))
			}
		}
		for _, o := range rapid.Permutation(all).Draw(t, "then") {
			if stay[o] {
				detour.apply(s2.Set(o))
			} else {
				detour.apply(s2.Delete(o))
			}
		}
		// A pod that was deleted holds its devices until its claim is free,
		// which is the one thing that a detour may leave behind.
		for id, p := range s2.pods {
			if p.deleted {
				detour.apply(s2.settleGhost(id))
			}
		}
		if a, b := straight.String(), detour.String(); a != b {
			t.Fatalf("straight:\n%s\nwith detours:\n%s", a, b)
		}
		if a, b := straight.verdict(s1), detour.verdict(s2); a != b {
			t.Fatalf("the engine, straight:\n%s\nwith detours:\n%s", a, b)
		}
		if a, b := fmt.Sprint(s1.Problems()), fmt.Sprint(s2.Problems()); a != b {
			t.Fatalf("problems, straight:\n%s\nwith detours:\n%s", a, b)
		}
	})
}

// older returns an object as it may have looked before.
func older(obj any, age int) any {
	switch o := obj.(type) {
	case *corev1.Pod:
		o = o.DeepCopy()
		switch age {
		case 1:
			o.Spec.NodeName = ""
		case 2:
			o.Status.Phase = corev1.PodFailed
		case 3:
			o.UID += "-before"
			o.Labels = map[string]string{ask.Project: "other"}
			o.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}}
		}
		return o
	case *resourcev1.ResourceClaim:
		o = o.DeepCopy()
		switch age {
		case 1:
			o.Status = resourcev1.ResourceClaimStatus{}
		case 2:
			if o.Status.Allocation != nil {
				o.Status.Allocation.Devices.Results[0].Pool = "n9"
			}
		case 3:
			o.Status.ReservedFor = append(o.Status.ReservedFor,
				resourcev1.ResourceClaimConsumerReference{Resource: "pods", UID: "z"})
		}
		return o
	case *corev1.Node:
		o = o.DeepCopy()
		o.Spec.Unschedulable = age == 1
		if age == 2 {
			o.Labels = nil
		}
		return o
	case *resourcev1.ResourceSlice:
		o = o.DeepCopy()
		o.Spec.Pool.Generation -= int64(age)
		return o
	}
	return obj
}

// settleGhost forgets a pod whose object is gone, as if its claim had been
// freed and allocated again to nobody.
func (s *State) settleGhost(id string) []sched.Event {
	p := s.pods[id]
	p.obj = p.obj.DeepCopy()
	s.touchClaims(p.obj.UID)
	p.obj.UID += "-ghost"
	s.dirty.pods.add(id)
	return s.settle()
}

// TestARestartTellsEachThingOnce bounds the events of reading a large cluster
// anew in an arbitrary order: no change makes others be told again.
// BenchmarkRestart has the time.
func TestARestartTellsEachThingOnce(t *testing.T) {
	all := crowd(t, 1000, 10_000)
	s, l := New(Config{}), newLedger(t)
	n := 0
	for _, o := range all {
		events := s.Set(o)
		n += len(events)
		for _, ev := range events {
			l.applyOne(ev)
		}
	}
	if len(l.pods) != 10_000 || len(l.nodes) != 1001 {
		t.Errorf("%d pods and %d nodes are known", len(l.pods), len(l.nodes))
	}
	if most := 3*len(l.pods) + 2*len(l.nodes); n > most {
		t.Errorf("%d events for %d objects, want at most %d", n, len(all), most)
	}
}

// crowd returns objects in an arbitrary order: nodes, and pods of which some
// are bound, a third of them in Jobs of ten.
func crowd(t testing.TB, nodes, pods int) []any {
	all := objects(t, ground)
	node := all[2].(*corev1.Node)
	for i := range nodes {
		n := node.DeepCopy()
		n.Name = fmt.Sprintf("node-%d", i)
		all = append(all, n)
	}
	pod := objects(t, weirPod("x", "", ""))[0].(*corev1.Pod)
	job := objects(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: j, namespace: ml}, spec: {parallelism: 10}}`)[0]
	for i := range pods {
		p := pod.DeepCopy()
		p.Name = fmt.Sprintf("pod-%d", i)
		p.UID = types.UID(p.Name)
		if i%2 == 0 {
			p.Spec.NodeName = fmt.Sprintf("node-%d", i%nodes)
		}
		if i%3 == 0 {
			p.OwnerReferences = []metav1.OwnerReference{
				{APIVersion: "batch/v1", Kind: "Job", Name: fmt.Sprintf("job-%d", i/30), Controller: new(true)},
			}
		}
		if i%30 == 0 {
			j := *job.(*batchv1.Job)
			j.Name = fmt.Sprintf("job-%d", i/30)
			all = append(all, &j)
		}
		all = append(all, p)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func BenchmarkRestart(b *testing.B) {
	all := crowd(b, 1000, 10_000)
	for b.Loop() {
		s := New(Config{})
		for _, o := range all {
			s.Set(o)
		}
	}
}
