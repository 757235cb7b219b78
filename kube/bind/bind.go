// Package bind gives one pod the place that was decided for it: it writes the
// devices into the pod's claims, then binds the pod to its node.
//
// It ends with a known result. A write whose answer is lost (a timeout, a
// restarting API server) is followed by reading the pod, until it is known
// whether the write took place. Nothing is bound twice: the API server takes
// the first binding of a pod only, and every binding names the pod's UID.
//
// It decides nothing and keeps nothing between calls.
package bind

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/weir-gpu/weir/kube/again"
)

// Order is one pod's place.
type Order struct {
	Namespace, Name string
	UID             types.UID
	Node            string
	// Prepare, if set, is done before anything else: binding volumes.
	Prepare func(context.Context) error
	// Extended, if set, makes the claim by which a pod that asks for a
	// resource by count gets exact devices.
	Extended *Extended
	Claims   []Claim
	// Verify has the claims read anew first, and the order refused unless they
	// are allocated: it finishes what another scheduler began.
	Verify bool
}

// Claim is an allocation to write into a claim of the pod.
type Claim struct {
	Known      *resourcev1.ResourceClaim // as it was last seen
	Allocation *resourcev1.AllocationResult
}

// Extended is a claim for extended resources, and how the pod's status names
// it.
type Extended struct {
	Claim      *resourcev1.ResourceClaim
	Allocation func(made *resourcev1.ResourceClaim) *resourcev1.AllocationResult
	Mappings   []corev1.ContainerExtendedResourceRequest
	Named      bool // the pod's status names it already
}

// ErrGone says that the pod no longer exists, or is being deleted.
var ErrGone = errors.New("the pod is gone")

// ElsewhereError says that the pod is bound to another node.
type ElsewhereError struct{ Node string }

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("the pod is already bound to node %s", e.Node)
}

// RefusedError says that the pod is not bound and will not be by this order.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "the API server refuses: " + e.Err.Error() }

// Unwrap returns the API server's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// Binder carries orders out. It may be used from many goroutines.
type Binder struct {
	client kubernetes.Interface
	clock  clock.Clock
	wrote  func(resource, verb string)
}

// New returns a Binder. wrote is told of every write that is tried.
func New(client kubernetes.Interface, clock clock.Clock, wrote func(resource, verb string)) *Binder {
	return &Binder{client: client, clock: clock, wrote: wrote}
}

// Bind carries an order out. A nil error says that the pod is bound to the
// node. Other results are [ErrGone], [*ElsewhereError], [*RefusedError], in
// which case the claims are free again, and the error of ctx, in which case
// nothing is known.
func (b *Binder) Bind(ctx context.Context, o *Order) error {
	err := b.prepare(ctx, o)
	if err == nil {
		err = b.bind(ctx, o)
	}
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		return errors.Join(err, b.release(ctx, o))
	}
	return err
}

func (b *Binder) prepare(ctx context.Context, o *Order) error {
	if o.Prepare != nil {
		if err := o.Prepare(ctx); err != nil {
			return refuseUnless(ctx, err)
		}
	}
	if o.Extended != nil {
		if err := b.extend(ctx, o); err != nil {
			return err
		}
	}
	for i := range o.Claims {
		if o.Verify {
			if err := b.verify(ctx, &o.Claims[i]); err != nil {
				return err
			}
		}
		if err := b.allocate(ctx, o, &o.Claims[i]); err != nil {
			return err
		}
	}
	if o.Extended != nil && !o.Extended.Named {
		return b.name(ctx, o)
	}
	return nil
}

// bind posts the binding and finds out what became of it.
func (b *Binder) bind(ctx context.Context, o *Order) error {
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: o.Node},
	}
	for try := range retries {
		b.wrote("pods/binding", "create")
		err := b.client.CoreV1().Pods(o.Namespace).Bind(ctx, binding, metav1.CreateOptions{})
		if err == nil {
			return nil
		}
		if apierrors.IsNotFound(err) {
			return ErrGone
		}
		pod, lookErr := b.look(ctx, o)
		switch {
		case lookErr != nil:
			return lookErr
		case pod.Spec.NodeName == o.Node:
			return nil
		case pod.Spec.NodeName != "":
			return &ElsewhereError{Node: pod.Spec.NodeName}
		case pod.DeletionTimestamp != nil:
			return ErrGone
		case !again.Worth(err) || try == retries-1:
			return &RefusedError{err}
		}
		if err := again.Pause(ctx, b.clock, try, err); err != nil {
			return err
		}
	}
	panic("unreachable")
}

// look reads the pod, however long it takes.
func (b *Binder) look(ctx context.Context, o *Order) (*corev1.Pod, error) {
	for try := 0; ; try++ {
		pod, err := b.client.CoreV1().Pods(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
		switch {
		case err == nil && pod.UID != o.UID, apierrors.IsNotFound(err):
			return nil, ErrGone
		case err == nil:
			return pod, nil
		}
		if err := again.Pause(ctx, b.clock, try, err); err != nil {
			return nil, err
		}
	}
}

// retries is how often a write that may yet succeed is tried.
const retries = 6

// refuseUnless makes a refusal of an error, unless the context has ended.
func refuseUnless(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &RefusedError{err}
}
