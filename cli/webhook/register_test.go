package webhook

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/admit"
	"github.com/weir-gpu/weir/kube/watch"
)

// registered returns what the API servers know.
func registered(t *testing.T, s *Server) (
	m *admissionregistrationv1.MutatingWebhookConfiguration, v *admissionregistrationv1.ValidatingWebhookConfiguration,
) {
	t.Helper()
	api := s.kube.AdmissionregistrationV1()
	m, err := api.MutatingWebhookConfigurations().Get(t.Context(), admit.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	v, err = api.ValidatingWebhookConfigurations().Get(t.Context(), admit.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m, v
}

// The registration follows projects and rules, and says whether API servers
// trusted the authorities before.
func TestRegistrationFollowsTheCluster(t *testing.T) {
	s := server()
	if _, err := s.Tell(t.Context(), nil); err == nil {
		t.Error("nothing is said of configurations that are not there")
	}
	if err := s.Register(t.Context(), admit.Endpoint{URL: "https://127.0.0.1:1" + admit.Path}); err != nil {
		t.Fatal(err)
	}
	project := &v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: "vision"}}
	project.Spec.Namespaces = []string{"ml"}
	rule := &v1alpha1.WorkloadRule{ObjectMeta: metav1.ObjectMeta{Name: "ray"}, Spec: v1alpha1.WorkloadRuleSpec{
		Object: v1alpha1.ObjectKind{APIVersion: "ray.io/v1", Kind: "RayCluster"},
		Pods:   []v1alpha1.PodSet{{Name: "head", Template: "object.spec.template"}},
	}}
	s.absorb([]watch.Change{{Object: project}, {Object: rule}})
	s.ready.Store(true)

	for i, want := range []bool{false, true} {
		already, err := s.Tell(t.Context(), []byte("authority"))
		if err != nil || already != want {
			t.Errorf("telling time %d: already %v, %v", i, already, err)
		}
	}
	m, v := registered(t, s)
	mapped := slices.IndexFunc(m.Webhooks, func(w admissionregistrationv1.MutatingWebhook) bool {
		return slices.ContainsFunc(w.NamespaceSelector.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
			return r.Key == corev1.LabelMetadataName && slices.Equal(r.Values, []string{"ml"}) &&
				r.Operator == metav1.LabelSelectorOpIn
		})
	})
	if mapped < 0 || *m.Webhooks[mapped].FailurePolicy != admissionregistrationv1.Fail {
		t.Errorf("pods of the namespace that a project names do not wait for Weir: %+v", m.Webhooks)
	}
	for _, w := range m.Webhooks {
		if string(w.ClientConfig.CABundle) != "authority" {
			t.Errorf("%s trusts %q", w.Name, w.ClientConfig.CABundle)
		}
	}
	if !slices.ContainsFunc(v.Webhooks[1].Rules, func(r admissionregistrationv1.RuleWithOperations) bool {
		return slices.Equal(r.Resources, []string{"rayclusters"})
	}) {
		t.Errorf("the kind of the rule is not looked at: %+v", v.Webhooks[1].Rules)
	}
	s.absorb([]watch.Change{{Object: project, Gone: true}, {Object: rule, Gone: true}})
	if _, err := s.Tell(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if after, _ := registered(t, s); len(after.Webhooks) != len(m.Webhooks)-1 {
		t.Errorf("%d webhooks after the project is gone, %d before", len(after.Webhooks), len(m.Webhooks))
	}
}

// Many changes are one look; without changes there is one now and then, and
// after a failure one soon.
func TestWhenTheRegistrationIsLookedAt(t *testing.T) {
	s := server()
	synctest.Test(t, func(t *testing.T) {
		s.moved = make(chan struct{}, 1)
		began := time.Now()
		var looks []time.Duration
		ctx, stop := context.WithTimeout(t.Context(), 42*time.Second) // before the look at 45
		defer stop()
		go func() {
			time.Sleep(10 * time.Second)
			for range 100 {
				s.move()
			}
		}()
		err := s.Keep(ctx, func(context.Context) error {
			looks = append(looks, time.Since(began).Round(time.Second))
			if len(looks) == 3 {
				return errors.New("the API server is away")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		want := []time.Duration{0, 10 * time.Second, 25 * time.Second, 30 * time.Second}
		if !slices.Equal(looks, want) {
			t.Errorf("looked at %v, want %v", looks, want)
		}
	})
}
