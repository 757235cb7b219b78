package admit

import (
	"context"
	"fmt"
	"sync"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientresourcev1 "k8s.io/client-go/kubernetes/typed/resource/v1"
)

// Templates makes claim templates that are missing, each with one write
// however many pods ask for it at once. It may be used from many goroutines.
type Templates struct {
	client clientresourcev1.ResourceClaimTemplatesGetter

	mu     sync.Mutex
	making map[types.NamespacedName]*sync.Mutex // held by who makes it
	made   map[types.NamespacedName]bool
}

// NewTemplates returns Templates that know of none yet.
func NewTemplates(client clientresourcev1.ResourceClaimTemplatesGetter) *Templates {
	return &Templates{
		client: client,
		making: map[types.NamespacedName]*sync.Mutex{},
		made:   map[types.NamespacedName]bool{},
	}
}

// Ensure returns when the template exists.
func (t *Templates) Ensure(ctx context.Context, want *resourcev1.ResourceClaimTemplate) error {
	key := types.NamespacedName{Namespace: want.Namespace, Name: want.Name}
	t.mu.Lock()
	turn := t.making[key]
	if turn == nil {
		turn = &sync.Mutex{}
		t.making[key] = turn
	}
	t.mu.Unlock()

	turn.Lock()
	defer turn.Unlock()
	if t.has(key) {
		return nil
	}
	if err := t.create(ctx, want); err != nil {
		return err
	}
	t.Seen(key.Namespace, key.Name)
	return nil
}

func (t *Templates) has(key types.NamespacedName) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.made[key]
}

// create makes the template. One that exists already is as good if it says the
// same; the API server fills in nothing that [equality] would mind.
func (t *Templates) create(ctx context.Context, want *resourcev1.ResourceClaimTemplate) error {
	templates := t.client.ResourceClaimTemplates(want.Namespace)
	_, err := templates.Create(ctx, want, metav1.CreateOptions{})
	if err == nil {
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("the claim template for the pod's GPU share cannot be made: %w", err)
	}
	got, err := templates.Get(ctx, want.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("the claim template for the pod's GPU share cannot be read: %w", err)
	}
	if !equality.Semantic.DeepEqual(got.Spec, want.Spec) {
		return fmt.Errorf("ResourceClaimTemplate %s/%s is not the one that Weir makes under this name; delete it",
			want.Namespace, want.Name)
	}
	return nil
}

// Seen says that a template exists, so that nothing has to be written for it.
func (t *Templates) Seen(namespace, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made[types.NamespacedName{Namespace: namespace, Name: name}] = true
}

// Gone says that a template was deleted, so that the next pod makes it again.
func (t *Templates) Gone(namespace, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := types.NamespacedName{Namespace: namespace, Name: name}
	delete(t.made, key)
}
