package admit

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/cel-go/cel"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/admissionregistration"
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	"k8s.io/kubernetes/pkg/apis/admissionregistration/validation"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/workload"
)

var (
	atURL     = Endpoint{URL: "https://127.0.0.1:9443" + Path, CABundle: []byte("x")}
	atService = Endpoint{Service: &admissionregistrationv1.ServiceReference{
		Namespace: "weir-system", Name: "weir", Path: new(Path),
	}}
)

// TestConfigurationsAreValid: the API server takes them, its check of the CEL
// expressions included.
func TestConfigurationsAreValid(t *testing.T) {
	for _, mapped := range [][]string{nil, {"ml", "vision"}} {
		scope := Scope{Makers: workload.Builtin().Kinds(), Mapped: mapped}
		e := atURL
		if mapped != nil {
			e = atService
		}
		var m admissionregistration.MutatingWebhookConfiguration
		stored(t, Mutating(e, scope), &m)
		if errs := validation.ValidateMutatingWebhookConfiguration(&m); len(errs) > 0 {
			t.Errorf("mutating: %v", errs.ToAggregate())
		}
		var v admissionregistration.ValidatingWebhookConfiguration
		stored(t, Validating(e, scope), &v)
		if errs := validation.ValidateValidatingWebhookConfiguration(&v); len(errs) > 0 {
			t.Errorf("validating: %v", errs.ToAggregate())
		}
	}
}

func stored(t *testing.T, obj, into runtime.Object) {
	t.Helper()
	legacyscheme.Scheme.Default(obj)
	if err := legacyscheme.Scheme.Convert(obj, into, nil); err != nil {
		t.Fatal(err)
	}
}

// TestEachPodComesOnce: whatever a pod says and wherever it is, one of the
// webhooks at most is asked, and only that of pods which concern Weir has to
// answer.
func TestEachPodComesOnce(t *testing.T) {
	project := map[string]string{ask.Project: "nlp"}
	named := func(name string) map[string]string { return map[string]string{corev1.LabelMetadataName: name} }
	both := map[string]string{ask.Project: "nlp", corev1.LabelMetadataName: "ml"}
	m := Mutating(atURL, Scope{Mapped: []string{"ml", "kube-system", "ml"}})
	for _, c := range []struct {
		name      string
		namespace map[string]string
		pod       corev1.Pod
		want      string // webhook and whether it must answer
	}{
		{"plain pod anywhere", nil, corev1.Pod{}, "other.pods.weir.dev Ignore"},
		{"plain pod of a labelled project", project, corev1.Pod{}, "projects.pods.weir.dev Fail"},
		{"share of a labelled project", project, annotatedPod(ask.GPUFraction), "projects.pods.weir.dev Fail"},
		{"share anywhere", nil, annotatedPod(ask.GPUFraction), "asking.pods.weir.dev Fail"},
		{"share in the old spelling", nil, annotatedPod("gpu-memory"), "asking.pods.weir.dev Fail"},
		{"label", nil, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: project}}, "asking.pods.weir.dev Fail"},
		{"by scheduler", nil, corev1.Pod{Spec: corev1.PodSpec{SchedulerName: "weir"}}, "asking.pods.weir.dev Fail"},
		{"plain pod of a mapped namespace", named("ml"), corev1.Pod{}, "mapped.pods.weir.dev Fail"},
		{"share of a mapped namespace", named("ml"), annotatedPod(ask.GPUFraction), "mapped.pods.weir.dev Fail"},
		{"mapped and labelled", both, corev1.Pod{}, "projects.pods.weir.dev Fail"},
		{"system pod", named("kube-system"), corev1.Pod{}, ""},
		{"system pod, labelled", map[string]string{ask.Project: "nlp", corev1.LabelMetadataName: "kube-system"}, corev1.Pod{}, ""},
		{"pod of Weir itself", named("weir-system"), annotatedPod(ask.GPUFraction), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			for _, w := range m.Webhooks {
				if matches(t, &w, c.namespace, &c.pod) {
					if got != "" {
						t.Errorf("%s and %s are both asked", got, w.Name)
					}
					got = w.Name + " " + string(*w.FailurePolicy)
				}
			}
			if got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

func annotatedPod(word string) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{word: "x"}}}
}

// matches reports whether the API server asks the webhook about a pod in a
// namespace with these labels.
func matches(t *testing.T, w *admissionregistrationv1.MutatingWebhook, namespace map[string]string,
	pod *corev1.Pod,
) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(w.NamespaceSelector)
	if err != nil {
		t.Fatal(err)
	}
	if !selector.Matches(labels.Set(namespace)) {
		return false
	}
	for _, c := range w.MatchConditions {
		if !holds(t, c.Expression, pod) {
			return false
		}
	}
	return true
}

func holds(t *testing.T, expression string, pod *corev1.Pod) bool {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("object", cel.DynType))
	if err != nil {
		t.Fatal(err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	program, err := env.Program(ast)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	v, _, err := program.Eval(map[string]any{"object": object})
	if err != nil {
		t.Fatal(err)
	}
	return v.Value() == true
}

// TestAdjusting: a configuration follows the cluster, there and back, and what
// people changed in it stays.
func TestAdjusting(t *testing.T) {
	m := Mutating(atURL, Scope{})
	others := &m.Webhooks[2].NamespaceSelector.MatchExpressions[1]
	others.Values = append(others.Values, "left-alone")
	m.Webhooks[0].TimeoutSeconds = new(int32(9))
	plain := m.DeepCopy()

	Scope{Mapped: []string{"vision", "ml"}}.AdjustMutating(m)
	once := m.DeepCopy()
	Scope{Mapped: []string{"ml", "vision"}}.AdjustMutating(m)
	if !reflect.DeepEqual(m, once) {
		t.Error("the same namespaces in another order give another configuration")
	}
	if w := m.Webhooks[1]; w.Name != mappedPods || *w.TimeoutSeconds != 9 ||
		!matches(t, &w, map[string]string{corev1.LabelMetadataName: "ml"}, &corev1.Pod{}) {
		t.Errorf("no webhook for the mapped namespaces like that of the labelled ones: %+v", w)
	}
	if matches(t, &m.Webhooks[3], map[string]string{corev1.LabelMetadataName: "left-alone"}, &corev1.Pod{}) {
		t.Error("what people left out is looked at")
	}
	Scope{}.AdjustMutating(m)
	if !reflect.DeepEqual(m, plain) {
		t.Errorf("after all projects are gone:\n got %+v\nwant %+v", m, plain)
	}

	v := Validating(atURL, Scope{})
	Scope{Makers: []schema.GroupVersionKind{{Group: "ray.io", Version: "v1", Kind: "RayCluster"}}}.AdjustValidating(v)
	if got := v.Webhooks[1].Rules; len(got) != 2 || got[0].Resources[0] != "rayclusters" || got[1].Resources[0] != "cronjobs" {
		t.Errorf("rules %+v", got)
	}
}
