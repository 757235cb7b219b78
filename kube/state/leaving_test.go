package state

import (
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
)

// Claims and pods are watched apart: the claim of a pod that stops may be seen to
// be free before the pod is seen to go. Until then it is stopping and holds what
// it had, whichever way it asked for it.
func TestAStoppingPodWhoseClaimIsFreeFirstIsStoppingStill(t *testing.T) {
	for name, asks := range map[string]string{
		"a claim of its own": `resourceClaims: [{name: weir-gpu, resourceClaimName: c}]}}`,
		"an extended resource": `containers: [{name: main, resources: {limits: {nvidia.com/gpu: 1}}}]},
 status: {extendedResourceClaimStatus: {resourceClaimName: c}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			all := objects(t, ground+slicesOfN2+`
---
{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: c, namespace: ml}, spec: {devices: {requests: [
 {name: gpu, exactly: {deviceClassName: gpu.weir.dev}}]}}, status: {reservedFor: [{resource: pods, name: x,
 uid: uid-x}],
 allocation: {devices: {results: [{request: gpu, driver: gpu.weir.dev, pool: n2, device: gpu-0,
 consumedCapacity: {memory: 80Gi, compute: "1000"}}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: ml, uid: uid-x, deletionTimestamp: "2026-01-01T00:00:00Z"},
 spec: {schedulerName: weir, nodeName: n2, `+asks)
			claim, pod := all[len(all)-2].(*resourcev1.ResourceClaim).DeepCopy(), all[len(all)-1]
			s, l := tellAll(t, all)
			before := l.String()
			claim.Status = resourcev1.ResourceClaimStatus{}
			l.apply(s.Set(claim))
			if after := l.String(); after != before {
				t.Errorf("once its claim is free it is\n%s\nbefore it was\n%s", after, before)
			}
			l.apply(s.Delete(pod))
			if len(l.pods)+len(l.occupied)+len(l.workloads) != 0 {
				t.Errorf("still there:\n%s", l)
			}
		})
	}
}
