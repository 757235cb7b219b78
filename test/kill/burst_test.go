package kill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/sched"
)

const namespace = "ml"

// The two sorts of nodes. Each pod is for one of them, so that either can be
// almost full without that the other's pods are in the way.
const (
	sortLabel = "weir.test/devices"
	counted   = "counted"
	published = "published"
)

// gang is how many pods a Job has.
const gang = 4

// burst is work that arrives at once.
type burst struct {
	single []*corev1.Pod
	jobs   []*batchv1.Job
	pods   int
	gpus   map[string]int64 // demand by sort of node, in millionths
}

// The shares that the burst asks for.
var shares = []ask.Shape{
	{Devices: 1, Part: sched.Part{Fraction: sched.GPU / 2}},
	{Devices: 1, Part: sched.Part{Fraction: sched.GPU * 3 / 10}},
}

// newBurst mixes pods of all sorts.
func newBurst(n int) *burst {
	b := &burst{gpus: map[string]int64{}}
	for i := 0; b.pods < n; i++ {
		switch i % 10 {
		case 0, 1, 2:
			b.pod(counted, 1)
		case 3:
			b.pod(published, 1)
		case 4, 5, 6:
			b.share(shares[0])
		case 7:
			b.share(shares[1])
		case 8:
			b.pod([]string{counted, published}[i/10%2], 2)
		case 9:
			if n-b.pods >= gang {
				b.job([]string{published, counted}[i/10%2])
			}
		}
	}
	return b
}

func (b *burst) pod(sort string, gpus int64) {
	p := &corev1.Pod{Spec: podSpec(sort, gpus)}
	p.Name = fmt.Sprintf("p%d-%dgpu-%s", len(b.single), gpus, sort)
	b.single = append(b.single, p)
	b.pods++
	b.gpus[sort] += gpus * sched.GPU
}

// share asks for a part of a GPU as admission writes it.
func (b *burst) share(s ask.Shape) {
	p := &corev1.Pod{Spec: podSpec(published, 0)}
	p.Name = fmt.Sprintf("p%d-share", len(b.single))
	p.Spec.ResourceClaims = []corev1.PodResourceClaim{
		{Name: ask.ClaimRef, ResourceClaimTemplateName: new(s.TemplateName())}}
	p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: ask.ClaimRef}}
	b.single = append(b.single, p)
	b.pods++
	b.gpus[published] += s.Part.Fraction
}

func (b *burst) job(sort string) {
	j := &batchv1.Job{Spec: batchv1.JobSpec{Parallelism: new(int32(gang)), Completions: new(int32(gang)),
		Template: corev1.PodTemplateSpec{Spec: podSpec(sort, 1)}}}
	j.Name = fmt.Sprintf("gang%d", len(b.jobs))
	b.jobs = append(b.jobs, j)
	b.pods += gang
	b.gpus[sort] += gang * sched.GPU
}

func podSpec(sort string, gpus int64) corev1.PodSpec {
	main := corev1.Container{Name: "main", Image: "train", Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("64Mi")},
		Limits:   corev1.ResourceList{},
	}}
	if gpus > 0 {
		main.Resources.Limits[ask.WholeGPU] = *resource.NewQuantity(gpus, resource.DecimalSI)
	}
	return corev1.PodSpec{
		SchedulerName: ask.SchedulerName,
		NodeSelector:  map[string]string{sortLabel: sort},
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{main},
	}
}

// submit creates it all, as fast as the API server takes it.
func (b *burst) submit(ctx context.Context, kube kubernetes.Interface) error {
	for _, s := range shares {
		t := claim.Template(namespace, s)
		err := insist(ctx, func() error {
			_, err := kube.ResourceV1().ResourceClaimTemplates(namespace).Create(ctx, t, metav1.CreateOptions{})
			return err
		})
		if err != nil {
			return err
		}
	}
	var creations []func() error
	each := max(1, len(b.single)/max(1, len(b.jobs))) // single pods between two Jobs
	for i, p := range b.single {
		creations = append(creations, func() error {
			_, err := kube.CoreV1().Pods(namespace).Create(ctx, p, metav1.CreateOptions{})
			return err
		})
		if i%each == 0 && i/each < len(b.jobs) {
			creations = append(creations, func() error {
				_, err := kube.BatchV1().Jobs(namespace).Create(ctx, b.jobs[i/each], metav1.CreateOptions{})
				return err
			})
		}
	}
	for i, create := range creations {
		creations[i] = func() error { return insist(ctx, create) }
	}
	return parallel(16, creations)
}

// insist creates an object, however often the API server is away meanwhile.
func insist(ctx context.Context, create func() error) error {
	for {
		err := create()
		if err == nil || apierrors.IsAlreadyExists(err) {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// parallel calls functions, so many at a time, and in their order.
func parallel(n int, calls []func() error) error {
	next := make(chan func() error)
	errs := make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			for call := range next {
				errs[i] = errors.Join(errs[i], call())
			}
		})
	}
	for _, call := range calls {
		next <- call
	}
	close(next)
	running.Wait()
	return errors.Join(errs...)
}
