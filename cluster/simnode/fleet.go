package simnode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// Options says which nodes a fleet has and how to reach the cluster. Only
// Config is required.
type Options struct {
	Config *restclient.Config
	// Nodes is what the fleet is made to be: missing nodes are added, other
	// simulated nodes are removed. Nil keeps the nodes that there are.
	Nodes []Spec
	// Logs lets the API server, which has to run on this machine, ask for the
	// logs of simulated pods: they tell what a pod was granted.
	Logs bool
	// Lease is how often a node says that it lives; 0 is five minutes. The
	// node controller has to wait longer than that.
	Lease time.Duration
	// Workers bounds the writes under way at once; 0 is 16.
	Workers int
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// Logger is told of what people should know; nil is silent.
	Logger *slog.Logger
}

// Fleet is a set of simulated nodes. Its methods may be called from several
// goroutines.
type Fleet struct {
	opts   Options
	client kubernetes.Interface
	queue  workqueue.TypedRateLimitingInterface[cache.ObjectName]
	ready  chan struct{}
	port   int32 // where the kubelets listen; 0 for nowhere

	pods  cache.SharedIndexInformer
	nodes cache.SharedIndexInformer

	mu      sync.Mutex
	down    map[string]bool // nodes that were stopped
	started map[types.UID]beginning
	held    time.Duration // how long all that runs has been held up
}

// beginning is when a pod started, to the nanosecond, which a status is not.
type beginning struct {
	at   time.Time
	held time.Duration // by then
}

// New returns a fleet that does nothing until it is run.
func New(opts Options) (*Fleet, error) {
	specs, err := sorted(opts.Nodes)
	if err != nil {
		return nil, err
	}
	if opts.Nodes != nil {
		opts.Nodes = specs
	}
	if opts.Lease == 0 {
		opts.Lease = 5 * time.Minute
	}
	if opts.Workers == 0 {
		opts.Workers = 16
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	cfg := restclient.CopyConfig(opts.Config)
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	cfg.QPS = -1
	client, err := kubernetes.NewForConfig(restclient.AddUserAgent(cfg, "simnode"))
	if err != nil {
		return nil, err
	}
	retry := workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](50*time.Millisecond, 5*time.Second)
	return &Fleet{
		opts:    opts,
		client:  client,
		queue:   workqueue.NewTypedRateLimitingQueue(retry),
		ready:   make(chan struct{}),
		down:    map[string]bool{},
		started: map[types.UID]beginning{},
	}, nil
}

// Ready is closed once all nodes are registered and pods are watched.
func (f *Fleet) Ready() <-chan struct{} { return f.ready }

// Run registers the nodes and plays their kubelets until ctx is done. Nodes
// and pods stay as they are then, for the next run to take up.
func (f *Fleet) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.opts.Logs {
		kubelets, err := f.serveKubelets(ctx)
		if err != nil {
			return fmt.Errorf("serve the logs of simulated pods: %w", err)
		}
		wg.Go(func() { kubelets.run(ctx) })
	}
	leases := newLeases(f)
	if err := f.Register(ctx); err != nil {
		return fmt.Errorf("register simulated nodes: %w", err)
	}
	if err := f.watch(ctx); err != nil {
		return err
	}
	close(f.ready)

	for range f.opts.Workers {
		wg.Go(func() { f.work(ctx) })
	}
	wg.Go(func() { leases.run(ctx) })
	<-ctx.Done()
	f.queue.ShutDown()
	return nil
}

// watch starts to watch simulated nodes and the pods that are bound to any.
func (f *Fleet) watch(ctx context.Context) error {
	nodes := informers.NewSharedInformerFactoryWithOptions(f.client, 0, informers.WithTransform(slim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = Label + "=true" }))
	pods := informers.NewSharedInformerFactoryWithOptions(f.client, 0, informers.WithTransform(slim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = "spec.nodeName!=" }))
	f.nodes = nodes.Core().V1().Nodes().Informer()
	f.pods = pods.Core().V1().Pods().Informer()
	err := errors.Join(
		f.pods.AddIndexers(cache.Indexers{byNode: func(obj any) ([]string, error) {
			return []string{obj.(*corev1.Pod).Spec.NodeName}, nil
		}}),
		handle(f.nodes, func(obj any) { f.wakePods(obj.(*corev1.Node).Name) }, func(any) {}),
		handle(f.pods, func(obj any) { f.queue.Add(cache.MetaObjectToName(obj.(*corev1.Pod))) }, f.forget),
	)
	if err != nil {
		return err
	}
	nodes.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), f.nodes.HasSynced) {
		return context.Cause(ctx)
	}
	pods.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), f.pods.HasSynced) {
		return context.Cause(ctx)
	}
	return nil
}

// byNode is the index of pods by the node that they are bound to.
const byNode = "node"

func handle(informer cache.SharedIndexInformer, changed, gone func(any)) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    changed,
		UpdateFunc: func(_, obj any) { changed(obj) },
		DeleteFunc: func(obj any) {
			if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = last.Obj
			}
			gone(obj)
		},
	})
	return err
}

// Hold lets every pod that runs now run longer by d: who drives the cluster by
// a clock of their own stops it for the nodes, too.
func (f *Fleet) Hold(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held += d
}

func (f *Fleet) forget(obj any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.started, obj.(*corev1.Pod).UID)
}

// wakePods looks again at the pods of a node that came or came back.
func (f *Fleet) wakePods(node string) {
	pods, err := f.pods.GetIndexer().ByIndex(byNode, node)
	if err != nil {
		return
	}
	for _, obj := range pods {
		f.queue.Add(cache.MetaObjectToName(obj.(*corev1.Pod)))
	}
}

// slim drops what simulating needs not from objects that are kept in memory.
func slim(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Node:
		o.ManagedFields = nil
		o.Status = corev1.NodeStatus{Addresses: o.Status.Addresses, Conditions: o.Status.Conditions}
	case *corev1.Pod:
		o.ManagedFields = nil
		spec := corev1.PodSpec{NodeName: o.Spec.NodeName}
		spec.Containers = slimContainers(o.Spec.Containers)
		spec.InitContainers = slimContainers(o.Spec.InitContainers)
		o.Spec = spec
	}
	return obj, nil
}

func slimContainers(containers []corev1.Container) []corev1.Container {
	var list []corev1.Container
	for _, c := range containers {
		list = append(list, corev1.Container{Name: c.Name, Image: c.Image, RestartPolicy: c.RestartPolicy})
	}
	return list
}
