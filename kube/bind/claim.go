package bind

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/kube/again"
)

// allocate writes an allocation and who holds it, in one write.
func (b *Binder) allocate(ctx context.Context, o *Order, c *Claim) error {
	claim := c.Known
	for try := range retries {
		done, err := allocated(claim, o, c.Allocation)
		if done || err != nil {
			return err
		}
		next := *claim // a shallow copy: the status is replaced, never changed
		next.Status.Allocation = c.Allocation
		next.Status.ReservedFor = append(slices.Clip(claim.Status.ReservedFor), holder(o))
		b.wrote("resourceclaims/status", "update")
		written, err := b.client.ResourceV1().ResourceClaims(claim.Namespace).
			UpdateStatus(ctx, &next, metav1.UpdateOptions{})
		if err == nil {
			c.Known = written
			return nil
		}
		if apierrors.IsNotFound(err) {
			return ErrGone
		}
		if !apierrors.IsConflict(err) && !again.Worth(err) || try == retries-1 {
			return refuseUnless(ctx, err)
		}
		if err := again.Pause(ctx, b.clock, try, err); err != nil {
			return err
		}
		if claim, err = b.lookAtClaim(ctx, claim); err != nil {
			return err
		}
	}
	return nil
}

// verify reads a claim anew and sees that it is allocated.
func (b *Binder) verify(ctx context.Context, c *Claim) error {
	now, err := b.lookAtClaim(ctx, c.Known)
	if err != nil {
		return err
	}
	c.Known = now
	if now.Status.Allocation == nil {
		return &RefusedError{fmt.Errorf("claim %s is no longer allocated", now.Name)}
	}
	return nil
}

// allocated tells whether the claim already says what is to be written, or why
// it cannot.
func allocated(claim *resourcev1.ResourceClaim, o *Order, want *resourcev1.AllocationResult) (bool, error) {
	if claim.DeletionTimestamp != nil {
		return false, ErrGone
	}
	held := slices.Contains(claim.Status.ReservedFor, holder(o))
	if has := claim.Status.Allocation; has != nil {
		if !equality.Semantic.DeepEqual(has.Devices, want.Devices) {
			return false, &RefusedError{fmt.Errorf("claim %s was allocated by somebody else", claim.Name)}
		}
		return held, nil
	}
	return false, nil
}

func holder(o *Order) resourcev1.ResourceClaimConsumerReference {
	return resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: o.Name, UID: o.UID}
}

func (b *Binder) lookAtClaim(ctx context.Context, c *resourcev1.ResourceClaim) (*resourcev1.ResourceClaim, error) {
	for try := 0; ; try++ {
		got, err := b.client.ResourceV1().ResourceClaims(c.Namespace).Get(ctx, c.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err), err == nil && c.UID != "" && got.UID != c.UID:
			return nil, ErrGone
		case err == nil:
			return got, nil
		}
		if err := again.Pause(ctx, b.clock, try, err); err != nil {
			return nil, err
		}
	}
}

// release takes back what an order that was refused has written.
func (b *Binder) release(ctx context.Context, o *Order) error {
	for i := range o.Claims {
		if err := b.Free(ctx, o.Claims[i].Known, o.UID); err != nil {
			return err
		}
	}
	return nil
}

// Free takes a pod, and with the last pod the allocation, off a claim. With
// pod "" it takes the allocation off a claim that nobody holds.
func (b *Binder) Free(ctx context.Context, claim *resourcev1.ResourceClaim, pod types.UID) error {
	for try := 0; ; try++ {
		claim, err := b.lookAtClaim(ctx, claim)
		if err == ErrGone { //nolint:errorlint // our own value, never wrapped here
			return nil
		} else if err != nil {
			return err
		}
		others := slices.DeleteFunc(slices.Clone(claim.Status.ReservedFor),
			func(r resourcev1.ResourceClaimConsumerReference) bool { return r.UID == pod })
		held := len(others) < len(claim.Status.ReservedFor)
		if !held && (claim.Status.Allocation == nil || len(others) > 0) {
			return nil
		}
		claim.Status.ReservedFor = others
		if len(others) == 0 {
			claim.Status.Allocation = nil
		}
		b.wrote("resourceclaims/status", "update")
		_, err = b.client.ResourceV1().ResourceClaims(claim.Namespace).UpdateStatus(ctx, claim, metav1.UpdateOptions{})
		if err == nil || apierrors.IsNotFound(err) {
			return nil
		}
		if err := again.Pause(ctx, b.clock, try, err); err != nil {
			return err
		}
	}
}

// extend makes the claim for extended resources. Its name follows from the
// pod, so that it is made once also by a scheduler that was killed in between.
func (b *Binder) extend(ctx context.Context, o *Order) error {
	claim, err := b.create(ctx, o.Extended.Claim)
	if err != nil {
		return err
	}
	o.Claims = append(o.Claims, Claim{Known: claim, Allocation: o.Extended.Allocation(claim)})
	return nil
}

// name says in the pod's status which claim has its extended resources.
func (b *Binder) name(ctx context.Context, o *Order) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": o.UID},
		"status": map[string]any{"extendedResourceClaimStatus": corev1.PodExtendedResourceClaimStatus{
			ResourceClaimName: o.Extended.Claim.Name, RequestMappings: o.Extended.Mappings,
		}},
	})
	if err != nil {
		return &RefusedError{err}
	}
	for try := range retries {
		b.wrote("pods/status", "patch")
		_, err = b.client.CoreV1().Pods(o.Namespace).Patch(ctx, o.Name, types.StrategicMergePatchType, patch,
			metav1.PatchOptions{}, "status")
		switch {
		case err == nil:
			return nil
		case apierrors.IsNotFound(err), apierrors.IsConflict(err):
			return ErrGone
		case !again.Worth(err):
			return refuseUnless(ctx, err)
		}
		if err := again.Pause(ctx, b.clock, try, err); err != nil {
			return err
		}
	}
	return &RefusedError{err}
}

func (b *Binder) create(ctx context.Context, want *resourcev1.ResourceClaim) (*resourcev1.ResourceClaim, error) {
	claims := b.client.ResourceV1().ResourceClaims(want.Namespace)
	var err error
	for try := range retries {
		b.wrote("resourceclaims", "create")
		var made *resourcev1.ResourceClaim
		made, err = claims.Create(ctx, want, metav1.CreateOptions{})
		switch {
		case err == nil:
			return made, nil
		case apierrors.IsAlreadyExists(err):
			return b.lookAtClaim(ctx, want)
		case !again.Worth(err):
			return nil, refuseUnless(ctx, err)
		}
		if err := again.Pause(ctx, b.clock, try, err); err != nil {
			return nil, err
		}
	}
	return nil, &RefusedError{err}
}
