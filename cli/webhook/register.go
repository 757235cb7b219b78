package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/kube/admit"
)

// Register makes the configurations by which the API server finds the webhook,
// or replaces those of an earlier run.
func (s *Server) Register(ctx context.Context, at admit.Endpoint) error {
	api := s.kube.AdmissionregistrationV1()
	mutating := api.MutatingWebhookConfigurations()
	if err := put(ctx, mutating, admit.Mutating(at, s.scope())); err != nil {
		return fmt.Errorf("registering the webhook for pods: %w", err)
	}
	if err := put(ctx, api.ValidatingWebhookConfigurations(), admit.Validating(at, s.scope())); err != nil {
		return fmt.Errorf("registering the webhook for objects: %w", err)
	}
	return nil
}

// configuration is either kind of webhook configuration.
type configuration interface {
	*admissionregistrationv1.MutatingWebhookConfiguration | *admissionregistrationv1.ValidatingWebhookConfiguration
	metav1.Object
}

// configurations is where those of a kind are kept.
type configurations[C configuration] interface {
	Get(context.Context, string, metav1.GetOptions) (C, error)
	Create(context.Context, C, metav1.CreateOptions) (C, error)
	Update(context.Context, C, metav1.UpdateOptions) (C, error)
}

func put[C configuration](ctx context.Context, client configurations[C], c C) error {
	_, err := client.Create(ctx, c, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	old, err := client.Get(ctx, c.GetName(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	c.SetResourceVersion(old.GetResourceVersion())
	_, err = client.Update(ctx, c, metav1.UpdateOptions{})
	return err
}

// Tell brings the configurations of the cluster in step with what the server
// has seen, and with the authorities that API servers are to trust; nil leaves
// that to others. It reports whether they were told of these before.
//
// Configurations that are not there are not made: who deletes them wants to do
// without the webhook.
func (s *Server) Tell(ctx context.Context, authorities []byte) (already bool, err error) {
	scope, seen := s.scope(), s.ready.Load()
	api := s.kube.AdmissionregistrationV1()
	pods, err := adjust(ctx, api.MutatingWebhookConfigurations(),
		func(m *admissionregistrationv1.MutatingWebhookConfiguration) (already bool) {
			if seen {
				scope.AdjustMutating(m)
			}
			already = true
			for i := range m.Webhooks {
				already = trust(&m.Webhooks[i].ClientConfig, authorities) && already
			}
			return already
		})
	objects, err2 := adjust(ctx, api.ValidatingWebhookConfigurations(),
		func(v *admissionregistrationv1.ValidatingWebhookConfiguration) (already bool) {
			if seen {
				scope.AdjustValidating(v)
			}
			already = true
			for i := range v.Webhooks {
				already = trust(&v.Webhooks[i].ClientConfig, authorities) && already
			}
			return already
		})
	return pods && objects, errors.Join(err, err2)
}

// trust sets the authorities, and reports whether they were there.
func trust(c *admissionregistrationv1.WebhookClientConfig, authorities []byte) (already bool) {
	if authorities == nil || slices.Equal(c.CABundle, authorities) {
		return true
	}
	c.CABundle = authorities
	return false
}

// adjust changes a configuration where that makes a difference, and returns
// what change does.
func adjust[C configuration](ctx context.Context, client configurations[C], change func(C) bool) (bool, error) {
	old, err := client.Get(ctx, admit.Name, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("looking up how API servers find the webhook: %w", err)
	}
	next := any(old).(interface{ DeepCopy() C }).DeepCopy()
	already := change(next)
	if equality.Semantic.DeepEqual(old, next) {
		return already, nil
	}
	if _, err := client.Update(ctx, next, metav1.UpdateOptions{}); err != nil {
		return false, fmt.Errorf("bringing the webhook's registration up to date: %w", err)
	}
	return already, nil
}

// How often the registration is looked at: at once when what it depends on has
// changed, but not for each of many changes.
const (
	settle    = 300 * time.Millisecond
	lookAgain = 15 * time.Second // an upgrade sets back what Weir keeps in step
	tryAgain  = 5 * time.Second
)

// Keep calls look, which is [Server.Tell] or ends in it, whenever the
// configurations may be out of step, until ctx ends.
func (s *Server) Keep(ctx context.Context, look func(context.Context) error) error {
	told := ""
	for wait := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		case <-s.moved:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(settle):
			}
			select {
			case <-s.moved: // seen with the look that comes
			default:
			}
		}
		wait = lookAgain
		err := look(ctx)
		switch {
		case err == nil:
			told = ""
		case ctx.Err() != nil:
			return nil
		default:
			if !apierrors.IsConflict(err) && err.Error() != told { // another replica was first
				told = err.Error()
				s.log.Warn("the admission webhook's registration is not up to date; trying again", "error", err)
			}
			wait = tryAgain
		}
	}
}
