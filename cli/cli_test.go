package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cli/internal/fixture"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/kube/plan/result"
)

// bench is a command in front of a cluster that is not there.
type bench struct {
	t      *testing.T
	kube   *fake.Clientset
	dyn    *dynfake.FakeDynamicClient
	parts  Parts
	pause  func(context.Context, time.Duration) error
	kubecf string
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: test, context: {cluster: test, user: me, namespace: ml}}]
users: [{name: me, user: {}}]
`

// objects are in the cluster of every test: the project vision with the
// namespace ml, where the job llm and the pod dev are.
func objects() []runtime.Object {
	owned := func(name, owner string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: name, OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "batch/v1", Kind: "Job", Name: owner, Controller: new(true)}}},
			Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "main"}}},
		}
	}
	return []runtime.Object{
		&batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "tune"}},
		&batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "llm"}},
		owned("tune-0", "tune"), owned("tune-1", "tune"),
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "dev"},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}},
		&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "e1"}, Type: "Normal", Reason: "Waiting",
			InvolvedObject: corev1.ObjectReference{Kind: "Job", Name: "llm"}, Message: "Waits for 8 GPUs.",
			LastTimestamp: metav1.NewTime(fixture.Now.Add(-time.Minute))},
		&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "e2"}, Type: "Normal", Reason: "Other",
			InvolvedObject: corev1.ObjectReference{Kind: "Job", Name: "other"}, Message: "Not about llm."},
	}
}

func weirObjects() []runtime.Object {
	return []runtime.Object{
		&v1alpha1.Department{TypeMeta: departmentKind.typeMeta(), ObjectMeta: metav1.ObjectMeta{Name: "research"}},
		&v1alpha1.Project{TypeMeta: projectKind.typeMeta(), ObjectMeta: metav1.ObjectMeta{Name: "vision"},
			Spec: v1alpha1.ProjectSpec{Department: "research", Namespaces: []string{"ml", "ml-dev"}}},
		&v1alpha1.Project{TypeMeta: projectKind.typeMeta(), ObjectMeta: metav1.ObjectMeta{Name: "speech"}},
		&v1alpha1.NodePool{TypeMeta: poolKind.typeMeta(), ObjectMeta: metav1.ObjectMeta{Name: "old"},
			Spec: v1alpha1.NodePoolSpec{NodeSelector: map[string]string{"age": "old"}}},
	}
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	b := &bench{t: t, kube: fake.NewClientset(objects()...), kubecf: filepath.Join(t.TempDir(), "kubeconfig")}
	b.dyn = dynfake.NewSimpleDynamicClient(s, append(objects(), weirObjects()...)...)
	if err := os.WriteFile(b.kubecf, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	b.parts = Parts{
		Connect: func(*rest.Config) (Clients, error) { return Clients{Kube: b.kube, Dynamic: b.dyn}, nil },
		Snapshot: func(context.Context, Clients, time.Time) (*snapshot.View, error) {
			return fixture.View(), nil
		},
	}
	return b
}

// run runs the command and returns its exit code and what it printed.
func (b *bench) run(args ...string) (code int, out, err string) {
	b.t.Helper()
	env := map[string]string{"KUBECONFIG": b.kubecf}
	b.t.Setenv("KUBECONFIG", b.kubecf)
	var o, e bytes.Buffer
	s := &session{parts: b.parts, in: strings.NewReader(""), out: &o, err: &e, program: "weir",
		getenv: func(k string) string { return cmp.Or(env[k], os.Getenv("TEST_"+k)) }, environ: os.Environ, now: func() time.Time { return fixture.Now },
		pause: b.pause}
	code = s.run(b.t.Context(), args)
	return code, o.String(), e.String()
}

func TestLogsOfSeveralPodsAreMarked(t *testing.T) {
	code, out, stderr := newBench(t).run("logs", "tune")
	if want := "[tune-0] fake logs\n[tune-1] fake logs\n"; code != 0 || out != want {
		t.Errorf("exit %d: %q, want %q: %s", code, out, want, stderr)
	}
}

func TestPlanPrintsAndTellsOfWaits(t *testing.T) {
	b := newBench(t)
	b.parts.Plan = func(_ context.Context, o PlanOptions) (*result.Plan, error) {
		if o.Files[0] == "missing.yaml" {
			return nil, &os.PathError{Op: "stat", Path: o.Files[0], Err: os.ErrNotExist}
		}
		return &result.Plan{
			Decisions: []result.Decision{{Action: "start", Pod: "ml/dev", Node: "n1"}},
			Waiting:   []result.Waiting{{Workload: "ml/llm", Reason: "OverQuota", Message: "The quota is used."}},
		}, nil
	}
	for _, tc := range []struct {
		line string
		code int
	}{{"plan -f x", 0}, {"plan -f x --exit-code", 4}, {"plan -f missing.yaml", 3}} {
		code, out, stderr := b.run(strings.Fields(tc.line)...)
		if code != tc.code {
			t.Errorf("weir %s: exit %d, want %d: %s", tc.line, code, tc.code, stderr)
		}
		if tc.code == 0 {
			golden(t, "plan.txt", out)
		}
	}
}

func TestNoKubeconfigSaysHowToGetOne(t *testing.T) {
	b := newBench(t)
	b.kubecf = filepath.Join(t.TempDir(), "none")
	code, _, stderr := b.run("list")
	if code != 1 || !strings.Contains(stderr, "or start a cluster here with weir up") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestLocalClusterIsFoundByItself(t *testing.T) {
	b := newBench(t)
	local := b.kubecf
	b.kubecf = filepath.Join(t.TempDir(), "none")
	b.parts.LocalKubeconfig = func() string { return local }
	if code, _, stderr := b.run("list"); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestMissingPartsSayWhatToDo(t *testing.T) {
	b := newBench(t)
	for _, line := range []string{"up", "scheduler", "plan -f x"} {
		code, _, stderr := b.run(strings.Fields(line)...)
		if code != 1 || !strings.Contains(stderr, "use the released binary") {
			t.Errorf("weir %s: exit %d: %s", line, code, stderr)
		}
	}
}

func TestCalledAsPlugin(t *testing.T) {
	for args, want := range map[string]string{
		"kubectl-weir submit train --help": "kubectl weir submit train NAME",
		"/usr/bin/kubectl-weir --help":     "kubectl weir [command]",
		"kubectl_complete-weir submit tr":  "train\t",
		"weir --help":                      "weir [command]",
		"kubectl-weir.exe explain --help":  "kubectl weir explain NAME",
	} {
		var out, stderr bytes.Buffer
		code := Main(t.Context(), Parts{}, strings.Fields(args), Streams{Out: &out, Err: &stderr})
		if code != 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit %d: %q is not in %q %s", args, code, want, out.String(), stderr.String())
		}
	}
}

func TestVerdict(t *testing.T) {
	jobs := schema.GroupResource{Group: "batch", Resource: "jobs"}
	for name, tc := range map[string]struct {
		err  error
		code int
		want string
	}{
		"failure":   {errors.New("x"), exitFailure, "x"},
		"usage":     {refused("x"), exitUsage, "x"},
		"not found": {fmt.Errorf("wrapped: %w", notFound("x")), exitNotFound, "x"},
		"waiting":   {errWaiting, exitWaiting, ""},
		"stopped":   {context.Canceled, exitStopped, ""},
		"no object": {apierrors.NewNotFound(jobs, "llm"), exitNotFound, `jobs.batch "llm" not found`},
		"no kinds": {&apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonNotFound}}, exitFailure,
			"this cluster does not have Weir's kinds"},
		"no right": {apierrors.NewForbidden(jobs, "llm", errors.New("no")), exitFailure, "ask whoever runs the cluster"},
		"unknown":  {apierrors.NewUnauthorized("no"), exitFailure, "the cluster does not know you: log in again"},
		"admission": {apierrors.NewForbidden(jobs, "", errors.New(
			`admission webhook "pods.weir.dev" denied the request: ask for at most 4 GPUs`)), exitUsage,
			"ask for at most 4 GPUs"},
		"no kind": {&meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "JobSet"}}, exitFailure, "install Weir"},
		"no server": {&url.Error{Op: "Get", URL: "https://127.0.0.1:1/api?x", Err: &net.OpError{Op: "dial",
			Err: errors.New("connection refused")}}, exitFailure,
			"the cluster at https://127.0.0.1:1 cannot be reached (dial: connection refused): start it (weir up)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{started: true}
			code, sentence := s.verdict(tc.err)
			if code != tc.code || !strings.Contains(sentence, tc.want) || tc.want == "" && sentence != "" {
				t.Errorf("exit %d %q, want %d %q", code, sentence, tc.code, tc.want)
			}
		})
	}
}

func TestSimilarTo(t *testing.T) {
	names := []string{"vision", "speech", "vision-2", "robots"}
	for in, want := range map[string]string{
		"visoin": ": did you mean vision?",
		"vis":    ": did you mean vision or vision-2?",
		"zzz":    "",
		"":       "",
	} {
		if got := similarTo(in, names); got != want {
			t.Errorf("similarTo(%q) = %q, want %q", in, got, want)
		}
	}
}
