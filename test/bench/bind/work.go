package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/sched"
)

// work is something to measure.
type work struct {
	pods    int    // unless the setting says otherwise
	with    string // who can do it
	counted bool   // GPUs are counted, not published
	run     func(context.Context, *bench) (Result, error)
}

var works = map[string]work{
	"whole":   {pods: 4000, with: "raw,kube,weir", counted: true, run: bindWaiting(wholePod)},
	"half":    {pods: 4000, with: "raw,weir", run: bindWaiting(halfPod)},
	"reclaim": {pods: 400, with: "weir", counted: true, run: reclaim},
}

// The projects of the benchmark, and their namespaces.
const (
	rich     = "rich"     // has quota for all GPUs
	borrower = "borrower" // has no quota
)

// bindWaiting measures how fast pods are bound that all wait already.
func bindWaiting(make func(*bench) *corev1.Pod) func(context.Context, *bench) (Result, error) {
	return func(ctx context.Context, b *bench) (Result, error) {
		if err := b.createNamespace(ctx, rich); err != nil {
			return Result{}, err
		}
		pod := make(b)
		if err := b.createClaimTemplate(ctx, pod); err != nil {
			return Result{}, err
		}
		if err := b.createPods(ctx, rich, pod, b.Pods); err != nil {
			return Result{}, err
		}
		before, err := settledWrites(ctx) // claims are made behind the pods
		if err != nil {
			return Result{}, err
		}
		seen, err := b.watchBound(ctx, rich, b.Pods)
		if err != nil {
			return Result{}, err
		}
		if err := b.profile(); err != nil {
			return Result{}, err
		}
		stop := b.start(ctx)
		return b.collect(ctx, seen, before, stop)
	}
}

// reclaim measures how fast an owner gets its quota back from one who borrows
// all of it.
func reclaim(ctx context.Context, b *bench) (Result, error) {
	for _, ns := range []string{rich, borrower} {
		if err := b.createNamespace(ctx, ns); err != nil {
			return Result{}, err
		}
	}
	stopFleet := b.runFleet(ctx)
	defer stopFleet()
	if err := b.fill(ctx); err != nil {
		return Result{}, fmt.Errorf("fill the cluster: %w", err)
	}
	stop := b.start(ctx)
	defer stop()

	// The first pod tells that the scheduler is up and takes back.
	probe, err := b.watchBound(ctx, rich, 1)
	if err != nil {
		return Result{}, err
	}
	if err := b.createPods(ctx, rich, wholePod(b), 1); err != nil {
		return Result{}, err
	}
	if err := probe.wait(ctx); err != nil {
		return Result{}, err
	}
	before, err := settledWrites(ctx)
	if err != nil {
		return Result{}, err
	}
	seen, err := b.watchBound(ctx, rich, b.Pods)
	if err != nil {
		return Result{}, err
	}
	if err := b.profile(); err != nil {
		return Result{}, err
	}
	began := time.Now()
	arrived := make(chan error, 1)
	go func() { arrived <- b.createPods(ctx, rich, wholePod(b), b.Pods) }()
	result, err := b.collect(ctx, seen, before, func() time.Time { return began })
	if err == nil {
		err = <-arrived
	}
	return result, err
}

// fill binds preemptible pods of the borrower to all GPUs and waits until they run.
func (b *bench) fill(ctx context.Context) error {
	nodes, err := b.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	n := len(nodes.Items) * b.GPUs
	pods := b.client.CoreV1().Pods(borrower)
	err = parallel(n, func(i int) error {
		pod := wholePod(b)
		pod.Annotations[ask.Preemptible] = "true"
		pod.Name = fmt.Sprintf("over-%05d", i)
		pod.Spec.NodeName = nodes.Items[i/b.GPUs].Name
		_, err := pods.Create(ctx, pod, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return err
	}
	for {
		list, err := pods.List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running", ResourceVersion: "0"})
		if err != nil || len(list.Items) == n {
			return err
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pods run: %w", len(list.Items), n, context.Cause(ctx))
		}
	}
}

// start runs the subject; the returned func stops it and says when it started.
func (b *bench) start(ctx context.Context) func() time.Time {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		if err := b.subject.scheduler.Run(ctx, b.config); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "the scheduler ended:", err)
		}
	}()
	return func() time.Time {
		cancel()
		<-done
		return began
	}
}

// collect waits until all pods are bound and adds up what it took.
func (b *bench) collect(
	ctx context.Context, seen *bound, before map[string]int, stop func() time.Time,
) (Result, error) {
	cpu := cpuTime()
	err := seen.wait(ctx)
	cpu = cpuTime() - cpu
	b.stopProfile()
	if err != nil {
		stop()
		return Result{}, err
	}
	after, err := settledWrites(ctx)
	began := stop()
	if err != nil {
		return Result{}, err
	}
	n := len(seen.at)
	return Result{
		Pods:   n,
		First:  seen.first.Sub(began),
		All:    seen.last.Sub(began),
		Rate:   float64(n-1) / seen.last.Sub(seen.first).Seconds(),
		Writes: perPod(before, after, n),
		CPU:    cpu,
	}, nil
}

func (b *bench) addNodes(ctx context.Context, w work) error {
	specs, err := simnode.Shape(b.Nodes, b.GPUs, "H100")
	if err != nil {
		return err
	}
	for i := range specs {
		specs[i].Counted = w.counted
	}
	b.fleet, err = simnode.New(simnode.Options{Config: b.config, Nodes: specs})
	if err != nil {
		return err
	}
	return b.fleet.Register(ctx)
}

// runFleet lets bound pods run and deleted ones end.
func (b *bench) runFleet(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.fleet.Run(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "the simulated nodes ended:", err)
		}
	}()
	return func() { cancel(); <-done }
}

func (b *bench) createNamespace(ctx context.Context, name string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := b.client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	return err
}

func (b *bench) createPods(ctx context.Context, namespace string, like *corev1.Pod, n int) error {
	return parallel(n, func(int) error {
		pod := like.DeepCopy()
		pod.GenerateName = "pod-"
		_, err := b.client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		return err
	})
}

// wholePod asks for one GPU.
func wholePod(b *bench) *corev1.Pod {
	pod := plainPod(b)
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{ask.WholeGPU: resource.MustParse("1")}
	return pod
}

// halfShape is half of one GPU.
var halfShape = ask.Shape{Devices: 1, Part: sched.Part{Fraction: sched.GPU / 2}}

// halfPod asks for half a GPU by a claim, as admission writes it.
func halfPod(b *bench) *corev1.Pod {
	pod := plainPod(b)
	name := halfShape.TemplateName()
	pod.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: &name}}
	pod.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
	return pod
}

func (b *bench) createClaimTemplate(ctx context.Context, pod *corev1.Pod) error {
	if len(pod.Spec.ResourceClaims) == 0 {
		return nil
	}
	template := claim.Template(rich, halfShape)
	_, err := b.client.ResourceV1().ResourceClaimTemplates(rich).Create(ctx, template, metav1.CreateOptions{})
	return err
}

func plainPod(b *bench) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			SchedulerName: b.subject.schedulerName,
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "main", Image: "busybox",
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi"),
				}},
			}},
		},
	}
}
