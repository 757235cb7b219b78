package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/cluster/simnode"
)

// Result is what one scheduler reached.
type Result struct {
	Name string
	// Pods that were bound.
	Pods int
	// First is the time from the start of the scheduler, or from the arrival
	// of the pods where it ran already, to the first pod bound; All to the last.
	First, All time.Duration
	// Rate is pods per second from the first to the last.
	Rate float64
	// Writes are the API writes of that time for each pod, by what is written.
	Writes map[string]float64
	// CPU is the processor time of the whole process, API server included.
	CPU time.Duration
	// MaxRSS is the most memory that the process held, in bytes.
	MaxRSS int64
}

// total returns all API writes for each pod.
func (r Result) total() float64 {
	var sum float64
	for _, n := range r.Writes {
		sum += n
	}
	return sum
}

// bench is a running cluster to measure in.
type bench struct {
	setting
	subject subject
	name    string
	config  *rest.Config
	client  kubernetes.Interface
	fleet   *simnode.Fleet
	// stopProfile ends what profile began.
	stopProfile func()
}

func measure(ctx context.Context, s setting, w work, name string) (result Result, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, fmt.Errorf("not done after %v", s.Timeout))
	defer cancel()
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	c, err := cluster.Start(ctx, cluster.Options{Dir: dir, UnsafeNoFsync: !s.Fsync})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()

	client, err := kubernetes.NewForConfig(protobuf(c.Config()))
	if err != nil {
		return result, err
	}
	b := &bench{setting: s, subject: subjects[name], name: name, config: c.Config(), client: client}
	if err := b.addNodes(ctx, w); err != nil {
		return result, err
	}
	if b.subject.prepare != nil {
		if err := b.subject.prepare(ctx, b); err != nil {
			return result, fmt.Errorf("prepare: %w", err)
		}
	}
	if result, err = w.run(ctx, b); err != nil {
		return result, err
	}
	result.Name = b.name
	result.MaxRSS = maxRSS()
	return result, nil
}

// bound tells of pods as they get their nodes.
type bound struct {
	mu    sync.Mutex
	at    map[types.UID]time.Time
	want  int
	first time.Time
	last  time.Time
	done  chan struct{}
}

// watchBound counts the pods of a namespace that are bound from now on, until
// there are as many as wanted.
func (b *bench) watchBound(ctx context.Context, namespace string, want int) (*bound, error) {
	seen := &bound{at: map[types.UID]time.Time{}, want: want, done: make(chan struct{})}
	factory := informers.NewSharedInformerFactoryWithOptions(b.client, 0, informers.WithNamespace(namespace),
		informers.WithTransform(onlyUID),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = "spec.nodeName!=" }))
	pods := factory.Core().V1().Pods().Informer()
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{AddFunc: func(obj any, before bool) {
		if !before {
			seen.add(obj.(*corev1.Pod).UID, time.Now())
		}
	}})
	if err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
		return nil, context.Cause(ctx)
	}
	return seen, nil
}

// onlyUID drops everything of a pod but what tells it from others.
func onlyUID(obj any) (any, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
	}}, nil
}

// add records a pod.
func (s *bound) add(uid types.UID, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.at[uid]; ok {
		return
	}
	if len(s.at) == 0 {
		s.first = now
	}
	s.at[uid], s.last = now, now
	if len(s.at) == s.want {
		close(s.done)
	}
}

func (s *bound) wait(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		return fmt.Errorf("%d of %d pods were bound: %w", len(s.at), s.want, context.Cause(ctx))
	}
}

// profile begins a CPU profile if one was asked for.
func (b *bench) profile() error {
	b.stopProfile = func() {}
	if b.Profile == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(b.Profile, b.Mode+"-"+b.name+".prof"))
	if err != nil {
		return err
	}
	b.stopProfile = func() { pprof.StopCPUProfile(); f.Close() }
	return pprof.StartCPUProfile(f)
}

// cpuTime returns the processor time that this process used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func maxRSS() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss << 10 // Linux counts in KiB
}
