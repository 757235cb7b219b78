package live_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/api/crds"
	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/kube/live"
	"github.com/weir-gpu/weir/kube/watch"
)

// world is a control plane with simulated nodes, and the words in which the
// tests speak about it.
type world struct {
	testing.TB
	cfg     *rest.Config
	kube    kubernetes.Interface
	weir    rest.Interface
	fleet   *simnode.Fleet
	running sync.WaitGroup

	nodeNames []string
}

// controlPlane is shared by the tests of the package; each has the cluster to
// itself while it runs.
var controlPlane struct {
	once sync.Once
	*cluster.Cluster
	dir string
	err error
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if controlPlane.Cluster != nil {
		if err := controlPlane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	_ = os.RemoveAll(controlPlane.dir)
	os.Exit(code)
}

func startControlPlane() {
	c := &controlPlane
	if c.dir, c.err = os.MkdirTemp("", "weir-live-"); c.err != nil {
		return
	}
	c.Cluster, c.err = cluster.Start(context.Background(), cluster.Options{Dir: c.dir, Fresh: true,
		UnsafeNoFsync: true, Logger: slog.New(slog.DiscardHandler)})
}

// newWorld gives a test a cluster of the given nodes; there is no scheduler.
func newWorld(t testing.TB, nodes ...simnode.Spec) *world {
	t.Helper()
	w := newStillWorld(t, nodes...)
	ctx, cancel := context.WithCancel(context.Background())
	w.running.Go(func() { _ = w.fleet.Run(ctx) })
	t.Cleanup(func() {
		w.clear()
		cancel()
		w.running.Wait()
	})
	<-w.fleet.Ready()
	return w
}

// newStillWorld is a world whose nodes have no kubelets so far. Who asks for it
// clears it, too.
func newStillWorld(t testing.TB, nodes ...simnode.Spec) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	controlPlane.once.Do(startControlPlane)
	if controlPlane.err != nil {
		t.Fatal(controlPlane.err)
	}
	w := &world{TB: t, cfg: controlPlane.Config()}
	for _, n := range nodes {
		w.nodeNames = append(w.nodeNames, n.Name)
	}
	fast := rest.CopyConfig(w.cfg)
	fast.QPS = -1
	fast.ContentType = "application/vnd.kubernetes.protobuf"
	w.kube = must(kubernetes.NewForConfig(fast))
	w.weir = must(watch.WeirClient(w.cfg))
	w.install()
	w.fleet = must(simnode.New(simnode.Options{Config: w.cfg, Nodes: nodes, Logger: slog.New(slog.DiscardHandler)}))
	return w
}

// clear removes what a test made; its context has ended by then.
func (w *world) clear() {
	ctx := context.Background()
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
	for _, p := range must(w.kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{})).Items {
		_ = w.kube.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, now)
	}
	for _, kind := range []string{"projects", "departments", "nodepools"} {
		if err := w.weir.Delete().Resource(kind).Do(ctx).Error(); err != nil {
			w.Error(err)
		}
	}
	for _, c := range must(w.kube.ResourceV1().ResourceClaims("").List(ctx, metav1.ListOptions{})).Items {
		_ = w.kube.ResourceV1().ResourceClaims(c.Namespace).Delete(ctx, c.Name, now)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// install teaches the API server Weir's kinds.
func (w *world) install() {
	w.Helper()
	client := must(apiextensions.NewForConfig(w.cfg)).ApiextensionsV1().CustomResourceDefinitions()
	for _, crd := range must(crds.All()) {
		_, err := client.Create(w.Context(), crd, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			w.Fatal(err)
		}
	}
	w.eventually("the API server serves Weir's kinds", func() error {
		for _, kind := range []string{"departments", "projects", "nodepools", "workloadrules"} {
			if err := w.weir.Get().Resource(kind).Do(w.Context()).Error(); err != nil {
				return err
			}
		}
		return nil
	})
}

// nodes returns n nodes of so many H100 each.
func nodes(n, gpus int, counted bool) []simnode.Spec {
	specs := must(simnode.Shape(n, gpus, "H100"))
	for i := range specs {
		specs[i].Counted = counted
		if !counted {
			specs[i].Name = "dra-" + specs[i].Name
		}
	}
	return specs
}

// project makes a project, and its namespace, with a quota of GPUs.
func (w *world) project(name string, gpus string) {
	w.Helper()
	w.create("projects", `
apiVersion: weir.dev/v1alpha1
kind: Project
metadata: {name: `+name+`}
spec: {pools: [{name: default, quota: {gpu: "`+gpus+`"}}]}`)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := w.kube.CoreV1().Namespaces().Create(w.Context(), ns, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		w.Fatal(err)
	}
}

func (w *world) create(kind, text string) {
	w.Helper()
	body := must(yaml.YAMLToJSON([]byte(text)))
	if err := w.weir.Post().Resource(kind).Body(body).Do(w.Context()).Error(); err != nil {
		w.Fatal(err)
	}
}

// pod describes a pod for Weir; words are its annotations, "k=v".
func pod(namespace, name string, gpus int, words ...string) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			SchedulerName:                 ask.SchedulerName,
			TerminationGracePeriodSeconds: ptr.To[int64](0),
			Containers: []corev1.Container{{Name: "main", Image: "train", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("64Mi")},
				Limits:   corev1.ResourceList{},
			}}},
		},
	}
	for _, word := range words {
		k, v, _ := strings.Cut(word, "=")
		p.Annotations[k] = v
	}
	if gpus > 0 {
		p.Spec.Containers[0].Resources.Limits[ask.WholeGPU] = *resource.NewQuantity(int64(gpus), resource.DecimalSI)
	}
	return p
}

// share makes a pod ask for a part of a GPU, as admission does.
func (w *world) share(p *corev1.Pod) *corev1.Pod {
	w.Helper()
	a := must(ask.FromPod(p, nil))
	shape := ask.ShapeOf(a)
	template := claim.Template(p.Namespace, shape)
	_, err := w.kube.ResourceV1().ResourceClaimTemplates(p.Namespace).Create(w.Context(), template, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		w.Fatal(err)
	}
	refer(p, shape)
	return p
}

func refer(p *corev1.Pod, shape ask.Shape) {
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{{
		Name: ask.ClaimRef, ResourceClaimTemplateName: ptr.To(shape.TemplateName()),
	}}
	p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: ask.ClaimRef}}
}

func (w *world) submit(pods ...*corev1.Pod) {
	w.Helper()
	for _, p := range pods {
		if _, err := w.kube.CoreV1().Pods(p.Namespace).Create(w.Context(), p, metav1.CreateOptions{}); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) get(id string) *corev1.Pod {
	w.Helper()
	namespace, name, _ := strings.Cut(id, "/")
	p, err := w.kube.CoreV1().Pods(namespace).Get(w.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// bound waits until a pod is bound and returns its node.
func (w *world) bound(id string) string {
	w.Helper()
	node := ""
	w.eventually(id+" is bound", func() error {
		if node = w.get(id).Spec.NodeName; node == "" {
			return fmt.Errorf("conditions %v", w.get(id).Status.Conditions)
		}
		return nil
	})
	return node
}

// waits expects that a pod is told why it waits.
func (w *world) waits(id, reason string) string {
	w.Helper()
	message := ""
	w.eventually(id+" waits because of "+reason, func() error {
		for _, c := range w.get(id).Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Reason == reason {
				message = c.Message
				return nil
			}
		}
		return fmt.Errorf("conditions %v", w.get(id).Status.Conditions)
	})
	return message
}

func (w *world) gone(id string) {
	w.Helper()
	namespace, name, _ := strings.Cut(id, "/")
	w.eventually(id+" is gone", func() error {
		_, err := w.kube.CoreV1().Pods(namespace).Get(w.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %v", err)
	})
}

func (w *world) eventually(what string, check func() error) {
	w.Helper()
	var err error
	for end := time.Now().Add(*longest); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	w.Fatalf("not so within %s: %s: %v", *longest, what, err)
}

var (
	verbose = flag.Bool("weir.log", false, "show the schedulers' logs")
	longest = flag.Duration("weir.wait", 30*time.Second, "how long anything may take")
)

// scheduler starts a scheduler; stop ends it.
func (w *world) scheduler(change ...func(*live.Options)) (s *live.Scheduler, stop func()) {
	w.Helper()
	opts := live.Options{Config: w.cfg, Name: "weir-0", Logger: slog.New(slog.DiscardHandler)}
	if *verbose {
		opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	for _, c := range change {
		c(&opts)
	}
	s, err := live.New(opts)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("the scheduler ended with %v", err)
		}
	})
	w.Cleanup(stop)
	return s, stop
}
