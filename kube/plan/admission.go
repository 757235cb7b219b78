package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gpu/weir/api/tree"
	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/admit"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/kube/workload"
)

// admission asks the webhook itself what a cluster would ask it. What is too
// large for the nodes at hand is not refused: the engine explains it.
type admission struct {
	webhook  http.Handler
	projects map[string]bool
	state    *state.State
}

func newAdmission(objects []runtime.Object, s *state.State) *admission {
	a := &admission{projects: map[string]bool{}, state: s}
	var departments []v1alpha1.Department
	var projects []v1alpha1.Project
	pools := []string{v1alpha1.DefaultPool}
	for _, obj := range objects {
		switch o := obj.(type) {
		case *v1alpha1.Department:
			departments = append(departments, *o)
		case *v1alpha1.Project:
			projects = append(projects, *o)
			a.projects[o.Name] = true
		case *v1alpha1.NodePool:
			pools = append(pools, o.Name)
		}
	}
	a.webhook = admit.Handler(admit.Config{
		ProjectOf: s.ProjectOf,
		Owners:    func() ([]v1alpha1.Department, []v1alpha1.Project) { return departments, projects },
		NodePools: func() []string { return pools },
		Room:      func() admit.Room { return admit.Room{} },
		Rule:      func(gk schema.GroupKind) *workload.Rule { return s.Rules().For(gk) },
		Claims:    s,
		Templates: none{},
		Log:       slog.New(slog.DiscardHandler),
	})
	return a
}

// none makes no templates: what a pod asks for is read from its words.
type none struct{}

func (none) Ensure(context.Context, *resourcev1.ResourceClaimTemplate) error { return nil }

// checkTree checks departments and projects against each other.
func checkTree(objects []runtime.Object) error {
	var departments []v1alpha1.Department
	var projects []v1alpha1.Project
	for _, obj := range objects {
		switch o := obj.(type) {
		case *v1alpha1.Department:
			departments = append(departments, *o)
		case *v1alpha1.Project:
			projects = append(projects, *o)
		}
	}
	var errs []error
	for _, p := range tree.Check(departments, projects) {
		errs = append(errs, errors.New(p.String()))
	}
	return errors.Join(errs...)
}

// pod lets the webhook look at a pod that waits, and gives it to Weir if the
// webhook would.
func (a *admission) pod(p *corev1.Pod) error {
	if p.Spec.NodeName != "" || ended(p) || p.DeletionTimestamp != nil {
		words, _ := ask.ReadWords(p)
		project := words.Project
		if project == "" {
			project = a.state.ProjectOf(p.Namespace)
		}
		adopt(p, project)
		return nil
	}
	response, err := a.review(p, metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, p.Namespace, p.Name)
	if err != nil {
		return err
	}
	var patch []struct{ Path string }
	if err := json.Unmarshal(response.Patch, &patch); err != nil && response.Patch != nil {
		return err
	}
	for _, step := range patch {
		if step.Path == "/spec/schedulerName" {
			p.Spec.SchedulerName = ask.SchedulerName
		}
	}
	return nil
}

// maker lets the webhook look at an object that makes pods.
func (a *admission) maker(obj runtime.Object) error {
	m := accessor(obj)
	gvk := metav1.GroupVersionKind(obj.GetObjectKind().GroupVersionKind())
	_, err := a.review(obj, gvk, m.GetNamespace(), m.GetName())
	return err
}

func (a *admission) review(obj any, gvk metav1.GroupVersionKind, namespace, name string) (
	*admissionv1.AdmissionResponse, error,
) {
	raw, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "plan", Kind: gvk, Namespace: namespace, Name: name,
			Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: raw},
		},
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, admit.Path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	answer := &answer{header: http.Header{}}
	a.webhook.ServeHTTP(answer, request)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(answer.body.Bytes(), &review); err != nil || review.Response == nil {
		return nil, fmt.Errorf("admission answers %q", answer.body.String())
	}
	if !review.Response.Allowed {
		return nil, errors.New(review.Response.Result.Message)
	}
	return review.Response, nil
}

// answer is what the webhook writes.
type answer struct {
	header http.Header
	body   bytes.Buffer
}

var _ io.Writer = (*answer)(nil)

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
func (a *answer) WriteHeader(int)             {}

// once drops errors that say the same as one before.
func once(errs []error) []error {
	var out []error
	for _, err := range errs {
		if err != nil && !slices.ContainsFunc(out, func(e error) bool { return e.Error() == err.Error() }) {
			out = append(out, err)
		}
	}
	return out
}
