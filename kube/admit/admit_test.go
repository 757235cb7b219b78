package admit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

var update = flag.Bool("update", false, "write the golden files anew")

// made records the templates that are asked for.
type made struct{ names []string }

func (m *made) Ensure(_ context.Context, t *resourcev1.ResourceClaimTemplate) error {
	m.names = append(m.names, t.Namespace+"/"+t.Name)
	return nil
}

// claims knows one template, for another driver's device.
type claims struct{}

func (claims) Claim(string, string) *resourcev1.ResourceClaim { return nil }

func (claims) Template(_, name string) *resourcev1.ResourceClaimTemplate {
	if name != "nic" {
		return nil
	}
	return &resourcev1.ResourceClaimTemplate{Spec: resourcev1.ResourceClaimTemplateSpec{
		Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
			{Name: "nic", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "nic.example.com"}},
		}}},
	}}
}

// sample is the cluster in which the stories of testdata play.
func sample(templates *made) Config {
	quota := func(gpus string) []v1alpha1.PoolShare {
		return []v1alpha1.PoolShare{{Name: "default", Quota: v1alpha1.Amount{GPU: new(resource.MustParse(gpus))}}}
	}
	departments := []v1alpha1.Department{
		{ObjectMeta: metav1.ObjectMeta{Name: "research"}, Spec: v1alpha1.DepartmentSpec{Pools: quota("10")}},
	}
	projects := []v1alpha1.Project{
		{
			ObjectMeta: metav1.ObjectMeta{Name: "nlp"},
			Spec: v1alpha1.ProjectSpec{
				Department: "research", Namespaces: []string{"nlp", "ml"}, Pools: quota("6"),
			},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "vision"},
			Spec:       v1alpha1.ProjectSpec{Department: "research", Pools: quota("4")},
		},
	}
	rules := workload.Builtin()
	return Config{
		ProjectOf: func(namespace string) string {
			return map[string]string{"nlp": "nlp", "ml": "nlp", "vision": "vision", "old": "gone"}[namespace]
		},
		Owners:    func() ([]v1alpha1.Department, []v1alpha1.Project) { return departments, projects },
		NodePools: func() []string { return []string{"default", "a100"} },
		Room:      func() Room { return Room{Devices: 32, OnOneNode: 8, MemoryMiB: 81920} },
		Rule:      func(gk schema.GroupKind) *workload.Rule { return rules.For(gk) },
		Overlaps: func(p *v1alpha1.NodePool) []string {
			if p.Spec.NodeSelector["gpu"] == "a100" {
				return []string{"1 node that it selects, such as n1, belongs to pool a100"}
			}
			return nil
		},
		Claims:    claims{},
		Templates: templates,
		Log:       slog.New(slog.DiscardHandler),
	}
}

// story is one request in a file of testdata.
type story struct {
	Case      string
	Kind      string // "batch/v1 Job"; a pod if omitted
	Operation admissionv1.Operation
	Old       json.RawMessage
	Object    json.RawMessage
}

func (s story) request(t *testing.T) *admissionv1.AdmissionRequest {
	t.Helper()
	var meta struct{ Metadata metav1.ObjectMeta }
	object := s.Object
	if object == nil {
		object = s.Old
	}
	if err := json.Unmarshal(object, &meta); err != nil {
		t.Fatalf("%s: %v", s.Case, err)
	}
	apiVersion, kind, ok := strings.Cut(s.Kind, " ")
	if !ok {
		apiVersion, kind = "v1", "Pod"
	}
	typed := func(raw json.RawMessage) runtime.RawExtension {
		if raw == nil {
			return runtime.RawExtension{}
		}
		head := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,`, apiVersion, kind)
		return runtime.RawExtension{Raw: append([]byte(head), raw[1:]...)}
	}
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	r := &admissionv1.AdmissionRequest{
		UID: "u", Kind: metav1.GroupVersionKind(gvk), Operation: s.Operation,
		Name: meta.Metadata.Name, Namespace: meta.Metadata.Namespace,
		Object: typed(s.Object), OldObject: typed(s.Old),
	}
	if r.Operation == "" {
		r.Operation = admissionv1.Create
	}
	return r
}

// send sends a request as the API server does.
func send(t *testing.T, h http.Handler, r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	t.Helper()
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := post(h, body)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	if w.Code != http.StatusOK || review.Response == nil || review.Response.UID != r.UID || review.Request != nil {
		t.Fatalf("%d: %+v", w.Code, review)
	}
	return review.Response
}

func post(h http.Handler, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body)))
	return w
}

// outcome writes a response for a golden file.
func outcome(r *admissionv1.AdmissionResponse, templates []string) string {
	var b strings.Builder
	if r.Allowed {
		b.WriteString("let through\n")
	} else {
		fmt.Fprintf(&b, "refused (%d): %s\n", r.Result.Code, r.Result.Message)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warned: %s\n", w)
	}
	var patch []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if r.Patch != nil {
		if err := json.Unmarshal(r.Patch, &patch); err != nil {
			return err.Error()
		}
	}
	for _, o := range patch {
		fmt.Fprintf(&b, "%s %s %s\n", o.Op, o.Path, o.Value)
	}
	for _, name := range templates {
		fmt.Fprintf(&b, "template %s\n", name)
	}
	return b.String()
}

func TestStories(t *testing.T) {
	for _, name := range []string{"pods", "makers", "own"} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			for _, s := range stories(t, filepath.Join("testdata", name+".yaml")) {
				templates := &made{}
				r := send(t, Handler(sample(templates)), s.request(t))
				fmt.Fprintf(&got, "%s\n%s\n", s.Case, outcome(r, templates.names))
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("run with -update to accept (-want +got):\n%s", diff)
			}
		})
	}
}

func stories(t *testing.T, file string) []story {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []story
	for d := yaml.NewYAMLOrJSONDecoder(f, 4096); ; {
		var s story
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, s)
	}
}

func TestDryRunMakesNoTemplate(t *testing.T) {
	templates := &made{}
	r := stories(t, "testdata/pods.yaml")[2].request(t)
	r.DryRun = new(true)
	if got := send(t, Handler(sample(templates)), r); !got.Allowed || got.Patch == nil || len(templates.names) > 0 {
		t.Errorf("got %+v and templates %v; want a patch and no template", got, templates.names)
	}
}

func TestNothingIsTooLargeForAClusterNotKnownYet(t *testing.T) {
	cfg := sample(&made{})
	cfg.Room = func() Room { return Room{} }
	for _, s := range stories(t, "testdata/makers.yaml")[:2] {
		if got := send(t, Handler(cfg), s.request(t)); !got.Allowed {
			t.Errorf("%s: %s", s.Case, got.Result.Message)
		}
	}
}

func TestBadRequests(t *testing.T) {
	const review = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",`
	for _, c := range []struct {
		method, body string
		code         int
		want         string
	}{
		{"GET", "", 405, "method GET is not served here; POST an AdmissionReview"},
		{"POST", "", 400, "the body is not JSON of the right form (unexpected end of JSON input); " +
			"send an AdmissionReview of admission.k8s.io/v1 with a request"},
		{"POST", `{"kind":"Pod","apiVersion":"v1"}`, 400, `the body is of kind "/v1, Kind=Pod"; ` +
			"send an AdmissionReview of admission.k8s.io/v1 with a request"},
		{"POST", review + `"request":{}}`, 400, "the body has no request with a uid; " +
			"send an AdmissionReview of admission.k8s.io/v1 with a request"},
		{"POST", strings.Repeat(" ", maxBody+1), 413, "the body is larger than 6291456 bytes; " +
			"send one object per AdmissionReview"},
	} {
		w := httptest.NewRecorder()
		Handler(sample(&made{})).ServeHTTP(w, httptest.NewRequest(c.method, Path, strings.NewReader(c.body)))
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.code || got != c.want {
			t.Errorf("%.40s: got  %d %s\nwant %d %s", c.body, w.Code, got, c.code, c.want)
		}
	}
}

// FuzzHandler sends anything: the handler answers, with a sentence where it
// refuses.
func FuzzHandler(f *testing.F) {
	const review = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u",`
	for _, s := range []string{
		`"operation":"CREATE","kind":{"version":"v1","kind":"Pod"},"namespace":"ml","object":{"spec":{"containers":[{}]},` +
			`"metadata":{"annotations":{"gpu-fraction":"0.5"}}}}}`,
		`"operation":"CREATE","kind":{"group":"batch","version":"v1","kind":"Job"},"object":{"kind":"Job","spec":{}}}}`,
		`"operation":"UPDATE","kind":{"group":"batch","version":"v1","kind":"CronJob"},"object":{"kind":"CronJob"}}}`,
		`"operation":"DELETE","name":"nlp","kind":{"group":"weir.dev","version":"v1alpha1","kind":"Project"}}}`,
		`"operation":"CREATE","kind":{"group":"weir.dev","kind":"Department"},"object":{"spec":{"parent":"x"}}}}`,
		`"kind":{"kind":"Pod"},"object":null}}`,
	} {
		f.Add([]byte(review + s))
	}
	h := Handler(sample(&made{}))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := post(h, body)
		switch w.Code {
		case http.StatusBadRequest:
			if len(w.Body.String()) < 10 {
				t.Errorf("no sentence: %s", w.Body)
			}
		case http.StatusOK:
			var review admissionv1.AdmissionReview
			if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil || review.Response == nil ||
				!review.Response.Allowed && review.Response.Result.Message == "" {
				t.Errorf("%v: %s", err, w.Body)
			}
		default:
			t.Errorf("answered %d", w.Code)
		}
	})
}

// Where every node's devices go by claim, a pod gets no more than a claim holds.
func TestMoreGPUsThanAClaimHolds(t *testing.T) {
	cfg := sample(&made{})
	cfg.Room = func() Room { return Room{Devices: 128, OnOneNode: 64, OnePod: 32} }
	h := &handler{cfg}
	for gpus, want := range map[int]string{
		32: "", 33: "no node can give more than 32 to one pod", 65: "the largest node has 64",
	} {
		err := h.tooLarge(finding{ours: true, ask: sched.Ask{Devices: gpus}})
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%d GPUs: %s", gpus, got)
		}
	}
}
