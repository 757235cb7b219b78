package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/sched"
)

// ground is a department with two projects and a count node.
const ground = `
---
{apiVersion: weir.dev/v1alpha1, kind: Department, metadata: {name: research}, spec: {pools: [{quota: {gpu: 8}}]}}
---
{apiVersion: weir.dev/v1alpha1, kind: Project, metadata: {name: ml}, spec: {department: research,
 pools: [{quota: {gpu: 4}}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {nvidia.com/gpu.product: NVIDIA-A100,
 nvidia.com/gpu.memory: "40960"}},
 status: {allocatable: {nvidia.com/gpu: 2, cpu: 8, memory: 32Gi, pods: 110}}}
`

// weirPod writes a pod of Weir's with one GPU. more is added to its fields.
func weirPod(name, spec, more string) string {
	return fmt.Sprintf(`
---
{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: ml, uid: uid-%s}, spec: {schedulerName: weir, %s
 containers: [{name: main, resources: {limits: {nvidia.com/gpu: 1}}}]}, %s}`, name, name, spec, more)
}

func TestANodeIsTakenAsItReportsItself(t *testing.T) {
	_, l := tellAll(t, objects(t, ground+`
---
{apiVersion: v1, kind: Node, metadata: {name: cordoned}, spec: {unschedulable: true}, status: {allocatable: {cpu: 1}}}
---
{apiVersion: v1, kind: Node, metadata: {name: sick}, status: {conditions: [{type: Ready, status: "False"}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: lost}, spec: {taints: [{key: node.kubernetes.io/unreachable,
 effect: NoExecute}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: tainted}, spec: {taints: [{key: team, effect: NoSchedule}]}}
---
{apiVersion: weir.dev/v1alpha1, kind: NodePool, metadata: {name: b}, spec: {nodeSelector: {gpu: big}}}
---
{apiVersion: weir.dev/v1alpha1, kind: NodePool, metadata: {name: a}, spec: {nodeSelector: {gpu: big},
 placement: {gpu: fgd}}}
---
{apiVersion: v1, kind: Node, metadata: {name: pooled, labels: {gpu: big}}}
`))
	n1 := l.nodes["n1"]
	device := sched.Device{Name: "gpu-1", Model: "NVIDIA-A100", MemoryMiB: 40960, ComputeMilli: 1000}
	if len(n1.Devices) != 2 || n1.Devices[1] != device || !n1.Counted || n1.Unschedulable || n1.Pool != "default" {
		t.Errorf("n1: %+v", n1)
	}
	if c := n1.Capacity; c.CPU != 8000 || c.Memory != 32<<30 || c.Pods != 110 || len(c.Other) != 0 {
		t.Errorf("capacity of n1: %+v", c)
	}
	for name, want := range map[string]bool{"cordoned": true, "sick": true, "lost": true, "tainted": false} {
		if l.nodes[name].Unschedulable != want {
			t.Errorf("%s: unschedulable %t, want %t", name, !want, want)
		}
	}
	if l.nodes["pooled"].Pool != "a" || l.pools["a"].GPUPlacement != "fgd" {
		t.Errorf("pooled: %+v in %+v", l.nodes["pooled"], l.pools)
	}
}

const slicesOfN2 = `
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, status: {allocatable: {cpu: 8, pods: 110}}}
---
{apiVersion: resource.k8s.io/v1, kind: ResourceSlice, metadata: {name: s0}, spec: {driver: gpu.weir.dev, nodeName: n2,
 pool: {name: n2, generation: 1, resourceSliceCount: 2}, devices: [{name: gpu-0, allowMultipleAllocations: true,
 attributes: {model: {string: NVIDIA-H100}}, capacity: {memory: {value: 80Gi}, compute: {value: "1000"}}}]}}
---
{apiVersion: resource.k8s.io/v1, kind: ResourceSlice, metadata: {name: s1}, spec: {driver: gpu.weir.dev, nodeName: n2,
 pool: {name: n2, generation: 1, resourceSliceCount: 2}, devices: [{name: gpu-1, allowMultipleAllocations: true,
 taints: [{key: broken, effect: NoExecute}],
 attributes: {model: {string: NVIDIA-H100}}, capacity: {memory: {value: 80Gi}, compute: {value: "1000"}}}]}}
`

func TestDevicesComeFromAWholeGenerationOfSlices(t *testing.T) {
	all := objects(t, slicesOfN2)
	s, l := tellAll(t, all)
	n2 := l.nodes["n2"]
	if n2.Counted || len(n2.Devices) != 2 || n2.Devices[0].Unhealthy || !n2.Devices[1].Unhealthy {
		t.Fatalf("n2: %+v", n2)
	}
	next := all[1].(*resourcev1.ResourceSlice).DeepCopy()
	next.Spec.Pool.Generation = 2
	next.Spec.Pool.ResourceSliceCount = 1
	next.Spec.Devices = append(next.Spec.Devices, *next.Spec.Devices[0].DeepCopy())
	next.Spec.Devices[1].Name = "gpu-2"
	partly := next.DeepCopy()
	partly.Spec.Pool.ResourceSliceCount = 2
	l.apply(s.Set(partly))
	for _, d := range l.nodes["n2"].Devices {
		if !d.Unhealthy {
			t.Errorf("device %s takes pods while the slices are being replaced", d.Name)
		}
	}
	l.apply(s.Set(next))
	if got := l.nodes["n2"].Devices; len(got) != 2 || got[0].Unhealthy || got[1].Name != "gpu-2" {
		t.Errorf("after the new generation: %+v", got)
	}
	l.apply(s.Delete(next))
	l.apply(s.Delete(all[2]))
	if len(l.nodes["n2"].Devices) > 0 {
		t.Errorf("without slices: %+v", l.nodes["n2"])
	}
}

func TestWorkloadsAreFoundByOwners(t *testing.T) {
	for _, tt := range []struct {
		name, objects string
		want          sched.Workload
	}{{
		name:    "a bare pod is a workload that nobody may take back",
		objects: weirPod("x", "", ""),
		want:    sched.Workload{ID: "ml/pod/x", Kind: sched.Build, Priority: 100, Min: 1, Moves: 3},
	}, {
		name: "a Job is a gang that may be taken back",
		objects: weirPod("x", "", "") + `
---
{apiVersion: batch/v1, kind: Job, metadata: {name: train, namespace: ml, annotations: {weir.dev/priority: "70",
 weir.dev/min-runtime: 5m}},
 spec: {parallelism: 3}}`,
		want: sched.Workload{ID: "ml/job/train", Kind: sched.Train, Priority: 70, Preemptible: true, Min: 3, Moves: 3,
			MinRuntime: 300_000},
	}} {
		t.Run(tt.name, func(t *testing.T) {
			all := objects(t, ground+tt.objects)
			for _, o := range all {
				if p, ok := o.(*corev1.Pod); ok && strings.Contains(tt.objects, "Job") {
					p.OwnerReferences = []metav1.OwnerReference{
						{APIVersion: "batch/v1", Kind: "Job", Name: "train", Controller: new(true)},
					}
				}
			}
			s, l := tellAll(t, all)
			tt.want.Owner = "project/ml"
			if got := fmt.Sprintf("%+v", l.workloads[tt.want.ID]); got != fmt.Sprintf("%+v", tt.want) {
				t.Errorf("\n got %s\nwant %+v", got, tt.want)
			}
			if len(s.Problems()) > 0 {
				t.Errorf("problems: %v", s.Problems())
			}
		})
	}
}

// chain is a Deployment's pod with everything between them.
const chain = `
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: ml, labels: {weir.dev/project: other}},
 spec: {replicas: 1}}
---
{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-1, namespace: ml,
 ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, controller: true, uid: d}]}, spec: {replicas: 1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-1-x, namespace: ml, uid: u1, ownerReferences: [
 {apiVersion: apps/v1, kind: ReplicaSet, name: web-1, controller: true, uid: r}]}, spec: {schedulerName: weir,
 priorityClassName: high,
 containers: [{name: main}]}}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}
`

func TestPodsWaitUntilTheirOwnersAreSeen(t *testing.T) {
	all := objects(t, chain)
	s, l := New(Config{}), newLedger(t)
	l.apply(s.Set(all[2]))
	if len(l.pods) != 0 {
		t.Fatalf("a pod of an unknown gang waits for a place: %s", l)
	}
	p, _ := s.Pod("ml/web-1-x")
	if p.Problem == nil || !strings.Contains(p.Problem.Error(), "ReplicaSet ml/web-1, which") {
		t.Errorf("problem: %v", p.Problem)
	}
	l.apply(s.Set(all[1]))
	l.apply(s.Set(all[0]))
	l.apply(s.Set(all[3]))
	want := sched.Workload{
		ID: "ml/deployment/web", Owner: "project/other", Kind: sched.Infer, Priority: 1000, Min: 1, Moves: 3,
	}
	if got := l.workloads["ml/deployment/web"]; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	w, ok := s.Workload("ml/deployment/web")
	if !ok || w.Object != all[0] || w.Project != "other" || !slices.Equal(w.Pods, []string{"ml/web-1-x"}) {
		t.Errorf("workload: %+v", w)
	}
}

func TestGroupsAreGangsOfTheirOwn(t *testing.T) {
	s, l := tellAll(t, objects(t, ground+`
---
{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, metadata: {name: llm, namespace: ml},
 spec: {replicas: 2, leaderWorkerTemplate: {size: 2}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: llm-0, namespace: ml, uid: a,
 labels: {leaderworkerset.sigs.k8s.io/group-index: "0"},
 ownerReferences: [{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, name: llm, controller: true,
 uid: l}]},
 spec: {schedulerName: weir}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: llm-0, namespace: ml, ownerReferences: [
 {apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, name: llm, controller: true, uid: l}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: llm-0-1, namespace: ml, uid: b,
 labels: {leaderworkerset.sigs.k8s.io/group-index: "0"},
 ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: llm-0, controller: true, uid: s}]},
 spec: {schedulerName: weir}}
---
{apiVersion: v1, kind: Pod, metadata: {name: llm-1, namespace: ml, uid: c,
 labels: {leaderworkerset.sigs.k8s.io/group-index: "1"},
 ownerReferences: [{apiVersion: leaderworkerset.x-k8s.io/v1, kind: LeaderWorkerSet, name: llm, controller: true,
 uid: l}]},
 spec: {schedulerName: weir}}
`))
	if got := fmt.Sprint(s.Workloads()); got != "[ml/leaderworkerset/llm/0 ml/leaderworkerset/llm/1]" {
		t.Errorf("workloads %s", got)
	}
	if w := l.workloads["ml/leaderworkerset/llm/0"]; w.Min != 2 || w.Kind != sched.Infer {
		t.Errorf("%+v", w)
	}
	if p := l.pods["ml/llm-0-1"]; p == nil || p.workload != "ml/leaderworkerset/llm/0" {
		t.Errorf("worker: %+v", p)
	}
}

func TestThePlaceOfAPod(t *testing.T) {
	const claim = `
---
{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: c, namespace: ml}, spec: {devices: {requests: [
 {name: gpu, exactly: {deviceClassName: gpu.weir.dev}}]}}, status: {reservedFor: [{resource: pods, name: x,
 uid: uid-x}],
 allocation: {devices: {results: [{request: gpu, driver: gpu.weir.dev, pool: n2, device: gpu-0,
 consumedCapacity: {memory: 20Gi, compute: "250"}}]}}}}`
	claimPod := func(spec, more string) string {
		return `
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: ml, uid: uid-x,
 annotations: {weir.dev/gpu-fraction: "0.25"}},
 spec: {schedulerName: weir, ` + spec + ` resourceClaims: [{name: weir-gpu, resourceClaimName: c}]}, ` + more + `}`
	}
	for _, tt := range []struct{ name, objects, want string }{
		{"a waiting pod", weirPod("x", "", ""), "waits"},
		{"a bound pod", weirPod("x", "nodeName: n1,", `status: {startTime: "2026-01-01T00:00:10Z"}`),
			"n1 [{ 0 0 0 0}] since 1767225610000"},
		{"a pod that is being deleted", strings.Replace(weirPod("x", "nodeName: n1,", ""), "uid: uid-x",
			`uid: uid-x, deletionTimestamp: "2026-01-01T00:00:10Z"`, 1), "n1 [{ 0 0 0 0}] since 0 leaves"},
		{"a waiting pod that is being deleted", strings.Replace(weirPod("x", "", ""), "uid: uid-x",
			`uid: uid-x, deletionTimestamp: "2026-01-01T00:00:10Z"`, 1), ""},
		{"a pod that ended", weirPod("x", "nodeName: n1,", "status: {phase: Succeeded}"), ""},
		{"a pod that somebody holds back", weirPod("x", "schedulingGates: [{name: wait}],", ""), ""},
		{"a pod of another scheduler that waits",
			strings.Replace(weirPod("x", "", ""), "schedulerName: weir", "schedulerName: other", 1), ""},
		{"a bound pod of another scheduler",
			strings.Replace(weirPod("x", "nodeName: n1,", ""), "schedulerName: weir", "schedulerName: other", 1),
			"pod ml/x takes 1 of n1"},
		{"a bound pod of no project",
			strings.ReplaceAll(weirPod("x", "nodeName: n1,", ""), "namespace: ml", "namespace: nobody"),
			"pod nobody/x takes 1 of n1"},
		{"a bound pod with a share", slicesOfN2 + claim + claimPod("nodeName: n2,", ""),
			"n2 [{gpu-0 20480 250 20480 250}] since 0"},
		{"a pod that was about to be bound", slicesOfN2 + claim + claimPod("", ""),
			"n2 [{gpu-0 20480 250 20480 250}] since 0 unbound"},
		{"a pod that ended but holds its share still",
			slicesOfN2 + claim + claimPod("nodeName: n2,", "status: {phase: Failed}"),
			"n2 [{gpu-0 20480 250 20480 250}] since 0 leaves"},
		{"a claim whose pod is gone", slicesOfN2 + claim, "claim ml/c takes 1 of n2"},
		{"a share whose claim was emptied by hand", slicesOfN2 +
			strings.Split(claim, ", status")[0] + "}" + claimPod("nodeName: n2,", ""), "n2 [] since 0 odd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, l := tellAll(t, objects(t, ground+tt.objects))
			if got := place(s, l); got != tt.want {
				t.Errorf("got %q, want %q\n%s%v", got, tt.want, l, s.Problems())
			}
		})
	}
}

// place writes down where the pod x is.
func place(s *State, l *ledger) string {
	for _, o := range l.occupied {
		return fmt.Sprintf("%s takes %d of %s", o.ID, o.Devices, o.Node)
	}
	p := l.pods["ml/x"]
	if p == nil {
		return ""
	}
	if p.granted == nil {
		return "waits"
	}
	text := fmt.Sprintf("%s %v since %d", p.granted.Grant.Node, p.granted.Grant.Devices, p.granted.Since)
	if p.leaving {
		text += " leaves"
	}
	if slices.Contains(s.Unbound(), "ml/x") {
		text += " unbound"
	}
	if info, _ := s.Pod("ml/x"); info.Problem != nil {
		text += " odd"
	}
	return text
}

func TestADeletedPodHoldsItsDevicesUntilItsClaimIsFree(t *testing.T) {
	all := objects(t, ground+slicesOfN2+`
---
{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: c, namespace: ml}, spec: {devices: {requests: [
 {name: gpu, exactly: {deviceClassName: gpu.weir.dev}}]}}, status: {reservedFor: [{resource: pods, name: x,
 uid: uid-x}],
 allocation: {devices: {results: [{request: gpu, driver: gpu.weir.dev, pool: n2, device: gpu-0,
 consumedCapacity: {memory: 80Gi, compute: "1000"}}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: ml, uid: uid-x},
 spec: {schedulerName: weir, nodeName: n2, resourceClaims: [{name: weir-gpu, resourceClaimName: c}]}}
`)
	claim, pod := all[len(all)-2].(*resourcev1.ResourceClaim), all[len(all)-1].(*corev1.Pod)

	s, l := tellAll(t, all)
	l.apply(s.Delete(pod))
	if p := l.pods["ml/x"]; p == nil || !p.leaving {
		t.Fatalf("its devices are held by nobody:\n%s", l)
	}
	empty := claim.DeepCopy()
	empty.Status = resourcev1.ResourceClaimStatus{}
	l.apply(s.Set(empty))
	if len(l.pods)+len(l.occupied)+len(l.workloads) != 0 {
		t.Errorf("still there:\n%s", l)
	}

	s, l = tellAll(t, all)
	l.apply(s.Delete(pod))
	successor := pod.DeepCopy()
	successor.UID, successor.Spec.NodeName = "uid-2", ""
	successor.Spec.ResourceClaims[0].ResourceClaimName = new("c2")
	c2 := claim.DeepCopy()
	c2.Name, c2.Status = "c2", resourcev1.ResourceClaimStatus{}
	l.apply(s.Set(c2))
	l.apply(s.Set(successor))
	if p := l.pods["ml/x"]; p == nil || p.granted != nil || l.occupied["claim ml/c"].Node != "n2" {
		t.Errorf("the successor of that name:\n%s", l)
	}
	l.apply(s.Delete(claim))
	if len(l.occupied) != 0 {
		t.Errorf("the claim is gone and takes room:\n%s", l)
	}
}

func TestModelsAreToldAsNodesNameThem(t *testing.T) {
	pod := strings.Replace(weirPod("x", "", ""), "uid: uid-x",
		`uid: uid-x, annotations: {weir.dev/gpu-models: "A100,L4"}`, 1)
	all := objects(t, ground+pod)
	s, l := tellAll(t, all)
	if got := l.pods["ml/x"].ask.Models; !slices.Equal(got, []string{"L4", "NVIDIA-A100"}) {
		t.Errorf("models %v", got)
	}
	node := all[2].(*corev1.Node).DeepCopy()
	node.Name, node.Labels["nvidia.com/gpu.product"] = "n9", "NVIDIA-L4"
	l.apply(s.Set(node))
	if got := l.pods["ml/x"].ask.Models; !slices.Equal(got, []string{"NVIDIA-A100", "NVIDIA-L4"}) {
		t.Errorf("models %v with an L4", got)
	}
	l.apply(s.Delete(node))
	if got := l.pods["ml/x"].ask.Models; !slices.Equal(got, []string{"L4", "NVIDIA-A100"}) {
		t.Errorf("models %v without the L4", got)
	}
}

func TestABudgetKeepsWorkloadsInPlace(t *testing.T) {
	all := objects(t, ground+weirPod("x", "nodeName: n1,", "")+`
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b, namespace: ml}, spec: {selector: {}}}
`)
	s, l := tellAll(t, all)
	if got := l.workloads["ml/pod/x"].Moves; got != 0 {
		t.Errorf("moves %d under a spent budget", got)
	}
	l.apply(s.Delete(all[len(all)-1]))
	if got := l.workloads["ml/pod/x"].Moves; got != 3 {
		t.Errorf("moves %d without a budget", got)
	}
}

func TestProjects(t *testing.T) {
	all := objects(t, ground+weirPod("x", "", "")+`
---
{apiVersion: weir.dev/v1alpha1, kind: Project, metadata: {name: wide}, spec: {namespaces: [ml, other]}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: ml, labels: {weir.dev/project: chosen}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: ml}}
`)
	s, l := New(Config{}), newLedger(t)
	owner := func() string { return l.workloads["ml/pod/x"].Owner }
	l.apply(s.Set(all[3]))
	if owner() != "project/for namespace ml" {
		t.Errorf("owner %q without projects", owner())
	}
	if w, _ := s.Workload("ml/pod/x"); w.Problem == nil || !strings.Contains(w.Problem.Error(), "belongs to no project") {
		t.Errorf("problem %v", w.Problem)
	}
	for _, step := range []struct {
		set  any
		want string
	}{{all[4], "project/wide"}, {all[1], "project/ml"}, {all[5], "project/chosen"}, {all[6], "project/ml"}} {
		l.apply(s.Set(step.set))
		if owner() != step.want {
			t.Errorf("owner %q, want %q", owner(), step.want)
		}
	}
	if _, ok := l.owners["project/ml"]; ok {
		t.Error("project ml is known before its department")
	}
	l.apply(s.Set(all[0]))
	if _, ok := l.owners["project/ml"]; !ok {
		t.Error("project ml is not known though its department is")
	}
	l.apply(s.Delete(all[0]))
	l.apply(s.Delete(all[1]))
	if owner() != "project/wide" || len(l.owners) != 1 {
		t.Errorf("owner %q of %v", owner(), l.owners)
	}
}

// What a pod controls is known by it: workers of a leader as part of what the
// leader belongs to, executors of a driver that belongs to nothing by
// themselves. Without the driver they have nothing to work for.
func TestPodsOfAPod(t *testing.T) {
	s, _ := tellAll(t, objects(t, world))
	for id, want := range map[string]string{
		"ml/serve-0":   "ml/leaderworkerset/serve/0",
		"ml/serve-0-1": "ml/leaderworkerset/serve/0",
		"ml/driver":    "ml/pod/driver",
		"ml/executor":  "ml/pod/driver/owned",
	} {
		if p, ok := s.Pod(id); !ok || p.Workload != want || p.Problem != nil {
			t.Errorf("%s is of workload %q (%v), want %q", id, p.Workload, p.Problem, want)
		}
	}
	driver, _ := s.Pod("ml/driver")
	s.Delete(driver.Object)
	if p, _ := s.Pod("ml/executor"); p.Problem == nil {
		t.Error("the executor of a driver that is gone may start")
	}
}

// The default pool has a surplus run time though nobody wrote one, or an object.
func TestSurplusRuntimes(t *testing.T) {
	const pool = `{apiVersion: weir.dev/v1alpha1, kind: NodePool, metadata: {name: default}, `
	for spec, want := range map[string]int64{
		"": 300_000, "spec: {}}": 300_000, "spec: {surplusRuntime: 0s}}": 0, "spec: {surplusRuntime: 1h}}": 3_600_000,
	} {
		text := ground
		if spec != "" {
			text += "\n---\n" + pool + spec
		}
		_, l := tellAll(t, objects(t, text))
		if got := l.pools["default"].SurplusRuntime; got != want {
			t.Errorf("with %q: %d ms, want %d", spec, got, want)
		}
	}
}
