// Package claim translates between the engine's words and those of
// Kubernetes' dynamic resource allocation: devices and ResourceSlices, shapes
// and ResourceClaimTemplates, grants and the allocations of ResourceClaims.
//
// What a pod holds is written in the status of its claims and nowhere else;
// [Grant] writes it and [Held] reads it back, exactly. The package builds and
// reads objects: it has no client, decides nothing, and does not watch.
package claim
