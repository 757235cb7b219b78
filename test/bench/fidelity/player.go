package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sim/trace"
)

// player submits jobs when it is their time, each as a Job of one pod for each
// GPU, and stands for the Job controller, which pauses before it makes pods
// anew: what is stopped comes again at once, as in the simulation.
type player struct {
	kube  kubernetes.Interface
	begin time.Time
	jobs  []*playing
	done  chan *playing
	fail  chan error

	mu sync.Mutex
	of map[string]*playing // by namespace and name
}

// playing is a job in the cluster.
type playing struct {
	*trace.Job
	due   time.Time
	name  string
	owner metav1.OwnerReference
	ended map[string]bool // pods
	again map[string]bool // pods of this run that are yet to go
	at    time.Time       // when it was done

	stopped int // how often
}

// wait is how much longer the job took than it runs.
func (j *playing) wait() time.Duration { return j.at.Sub(j.due) - j.Duration }

func newPlayer(kube kubernetes.Interface, jobs []trace.Job) *player {
	p := &player{kube: kube, of: map[string]*playing{}, done: make(chan *playing, len(jobs)), fail: make(chan error, 1)}
	for i := range jobs {
		j := &playing{
			Job: &jobs[i], name: fmt.Sprintf("job-%05d", i), ended: map[string]bool{}, again: map[string]bool{},
		}
		p.jobs = append(p.jobs, j)
		p.of[j.Tenant+"/"+j.name] = j
	}
	return p
}

// play plays all jobs and returns when they are done.
func (p *player) play(ctx context.Context, ended func(done int)) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	if err := p.watch(ctx); err != nil {
		return err
	}
	first := p.jobs[0].Submit
	p.begin = time.Now().Add(time.Second).Truncate(time.Second) // all the clocks' seconds begin with it
	for _, j := range p.jobs {
		j.due = p.begin.Add(j.Submit.Sub(first))
	}
	running.Go(func() {
		for _, j := range p.jobs {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(j.due)):
				running.Go(func() { p.check(ctx, p.submit(ctx, j)) })
			}
		}
	})
	for n := range p.jobs {
		select {
		case <-p.done:
			ended(n + 1)
		case err := <-p.fail:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// check ends the play with an error, if there is one.
func (p *player) check(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		select {
		case p.fail <- err:
		default: // another one was first
		}
	}
}

// submit makes a Job that no controller but the player looks after, and its pods.
func (p *player) submit(ctx context.Context, j *playing) error {
	n := int32(j.GPUs)
	job, err := p.kube.BatchV1().Jobs(j.Tenant).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: j.name},
		Spec: batchv1.JobSpec{
			Parallelism: &n, ManagedBy: new("weir.dev/fidelity"),
			Template: corev1.PodTemplateSpec{Spec: j.pod(0).Spec},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	p.mu.Lock()
	j.owner = *metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))
	p.mu.Unlock()
	errs := make(chan error, j.GPUs)
	for i := range j.GPUs {
		go func() { errs <- p.create(ctx, j, j.pod(i)) }()
	}
	for range j.GPUs {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return err
}

func (p *player) create(ctx context.Context, j *playing, pod *corev1.Pod) error {
	pod.OwnerReferences = []metav1.OwnerReference{j.owner}
	_, err := p.kube.CoreV1().Pods(j.Tenant).Create(ctx, pod, metav1.CreateOptions{})
	return err
}

// pod returns a pod of the job, which has one GPU.
func (j *playing) pod(i int) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-%d", j.name, i), Annotations: map[string]string{simnode.DurationAnnotation: j.Duration.String()},
		},
		Spec: corev1.PodSpec{
			SchedulerName: ask.SchedulerName, RestartPolicy: corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64),
			Containers: []corev1.Container{{Name: "main", Image: "train", Resources: corev1.ResourceRequirements{
				Limits: corev1.ResourceList{ask.WholeGPU: resource.MustParse("1")},
			}}},
		},
	}
}

// watch follows the pods.
func (p *player) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(p.kube, 0)
	pods := factory.Core().V1().Pods().Informer()
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, obj any) {
			if pod := obj.(*corev1.Pod); pod.Status.Phase == corev1.PodSucceeded {
				p.ended(pod, time.Now())
			}
		},
		DeleteFunc: func(obj any) {
			if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = last.Obj
			}
			p.gone(ctx, obj.(*corev1.Pod))
		},
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
		return context.Cause(ctx)
	}
	return nil
}

func (p *player) job(pod *corev1.Pod) *playing {
	c := metav1.GetControllerOfNoCopy(pod)
	if c == nil {
		return nil
	}
	return p.of[pod.Namespace+"/"+c.Name]
}

// ended takes in that a pod came to its end. With the last one the job is done.
func (p *player) ended(pod *corev1.Pod, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j := p.job(pod)
	if j == nil || j.ended[pod.Name] || j.again[pod.Name] {
		return
	}
	j.ended[pod.Name] = true
	if len(j.ended) == j.GPUs {
		j.at = now
		p.done <- j
	}
}

// gone makes a pod anew that was stopped. As the job starts anew as a whole, so
// do the pods that had just come to their end.
func (p *player) gone(ctx context.Context, pod *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j := p.job(pod)
	if j == nil || ctx.Err() != nil || !j.at.IsZero() {
		return
	}
	if len(j.again) == 0 {
		j.stopped++
		for i := range j.GPUs {
			j.again[j.pod(i).Name] = true
		}
		for name := range j.ended {
			go func() {
				err := p.kube.CoreV1().Pods(j.Tenant).Delete(ctx, name, metav1.DeleteOptions{})
				if !apierrors.IsNotFound(err) { // else it is this one, or has been stopped, too
					p.check(ctx, err)
				}
			}()
		}
		clear(j.ended)
	}
	delete(j.again, pod.Name)
	for i := range j.GPUs {
		if next := j.pod(i); next.Name == pod.Name {
			go func() { p.check(ctx, p.create(ctx, j, next)) }() // the watch must not wait
		}
	}
}
