package webhook

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gpu/weir/kube/admit"
	"github.com/weir-gpu/weir/kube/workload"
)

// Register tells the API server where the webhook is.
func Register(ctx context.Context, kube kubernetes.Interface, at admit.Endpoint) error {
	mutating := kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	m := admit.Mutating(at)
	_, err := mutating.Create(ctx, m, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		old, gerr := mutating.Get(ctx, m.Name, metav1.GetOptions{})
		if gerr != nil {
			return fmt.Errorf("reading the webhook configuration %s: %w", m.Name, gerr)
		}
		m.ResourceVersion = old.ResourceVersion
		_, err = mutating.Update(ctx, m, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("registering the webhook for pods: %w", err)
	}
	validating := kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	v := admit.Validating(at, workload.Builtin().Kinds())
	_, err = validating.Create(ctx, v, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		old, gerr := validating.Get(ctx, v.Name, metav1.GetOptions{})
		if gerr != nil {
			return fmt.Errorf("reading the webhook configuration %s: %w", v.Name, gerr)
		}
		v.ResourceVersion = old.ResourceVersion
		_, err = validating.Update(ctx, v, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("registering the webhook for objects: %w", err)
	}
	return nil
}
