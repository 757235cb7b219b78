package replay

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/watch"
)

// submitters is how many objects are created at once when many are due.
const submitters = 16

// player replays one schedule.
type player struct {
	opts  Options
	kube  kubernetes.Interface
	weir  rest.Interface
	board *board
	pace  *pace
	due   chan *Item
}

// Run replays the items and returns when all have been submitted and placed,
// or wait for what will not come about by itself; then the report is printed.
func Run(ctx context.Context, opts Options) (*Report, error) {
	if opts.Every == 0 {
		opts.Every = time.Second
	}
	if opts.Patience == 0 {
		opts.Patience = 30 * time.Second
	}
	if opts.Hold == nil {
		opts.Hold = func(time.Duration) {}
	}
	p, err := newPlayer(opts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	if err := p.watch(ctx); err != nil {
		return nil, err
	}
	for range submitters {
		running.Go(func() { p.submit(ctx) })
	}
	all := make(chan struct{})
	running.Go(func() { defer close(all); p.feed(ctx) })
	err = p.show(ctx, all) // what was seen until an interrupt is worth a report, too
	report := p.report(time.Now())
	if opts.Out != nil {
		err = errors.Join(err, printReport(opts.Out, report))
	}
	return report, err
}

func (p *player) report(now time.Time) *Report {
	r := p.board.report(now)
	r.Held = p.pace.behind()
	return r
}

func newPlayer(opts Options) (*player, error) {
	cfg := rest.CopyConfig(opts.Config)
	cfg.QPS = -1
	weir, err := watch.WeirClient(cfg)
	if err != nil {
		return nil, err
	}
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	kube, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &player{
		opts: opts, kube: kube, weir: weir,
		board: newBoard(now, opts.Items), pace: &pace{start: now, hold: opts.Hold}, due: make(chan *Item),
	}, nil
}

// feed makes items due at their times, as fast as they are taken.
func (p *player) feed(ctx context.Context) {
	for i := range p.opts.Items {
		item := &p.opts.Items[i]
		select {
		case <-time.After(time.Until(p.pace.due(item.At))):
		case <-ctx.Done():
			return
		}
		if !p.hand(ctx, item) {
			return
		}
		p.pace.taken(item.At, time.Now())
	}
}

// hand hands an item to a submitter. It reports false when ctx ended before.
func (p *player) hand(ctx context.Context, item *Item) bool {
	select {
	case p.due <- item:
		return true
	case <-ctx.Done():
		return false
	}
}

// submit creates what is due.
func (p *player) submit(ctx context.Context) {
	for {
		select {
		case item := <-p.due:
			err := p.create(ctx, item)
			if ctx.Err() != nil {
				return
			}
			p.board.submit(item, err)
		case <-ctx.Done():
			return
		}
	}
}

// create creates an item's object. One that is there already is of an earlier
// run of the same replay, which goes on.
func (p *player) create(ctx context.Context, item *Item) error {
	obj := item.Object()
	obj.SetNamespace(item.Project)
	var err error
	for range 3 { // the API server may be busy for a moment
		err = post(ctx, p.kube, obj)
		switch {
		case err == nil || apierrors.IsAlreadyExists(err):
			return nil
		case apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// watch follows pods, projects and events from now on.
func (p *player) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(p.kube, 0, informers.WithTransform(slim))
	pods := factory.Core().V1().Pods().Informer()
	events := factory.Events().V1().Events().Informer()
	projects := cache.NewSharedIndexInformer(
		cache.NewListWatchFromClient(p.weir, "projects", metav1.NamespaceAll, fields.Everything()),
		&v1alpha1.Project{}, 0, nil)
	err := errors.Join(
		on(pods, func(o any) { p.board.pod(o.(*corev1.Pod), time.Now()) }, func(o any) { p.gone(ctx, o) }),
		on(events, func(o any) { p.board.event(o.(*eventsv1.Event)) }, nil),
		on(projects, func(o any) { p.board.use(o.(*v1alpha1.Project)) }, nil),
	)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	go projects.Run(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced, events.HasSynced, projects.HasSynced) {
		return context.Cause(ctx)
	}
	return nil
}

// gone submits anew what was evicted and has nobody else to do so.
func (p *player) gone(ctx context.Context, obj any) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return
	}
	if item := p.board.podGone(pod, time.Now()); item != nil {
		go p.hand(ctx, item) // the watch must not wait
	}
}

func on(informer cache.SharedIndexInformer, changed, gone func(any)) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    changed,
		UpdateFunc: func(_, obj any) { changed(obj) },
		DeleteFunc: func(obj any) {
			if last, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = last.Obj
			}
			if gone != nil {
				gone(obj)
			}
		},
	})
	return err
}

// slim keeps of pods and events what the board looks at.
func slim(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Pod:
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion,
			},
			Spec:   corev1.PodSpec{NodeName: o.Spec.NodeName},
			Status: corev1.PodStatus{Phase: o.Status.Phase, Conditions: unscheduled(o.Status.Conditions)},
		}, nil
	case *eventsv1.Event:
		return &eventsv1.Event{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: o.Namespace, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion,
			},
			Regarding: o.Regarding, Reason: o.Reason, Note: o.Note, EventTime: o.EventTime,
		}, nil
	}
	return obj, nil
}

func unscheduled(conditions []corev1.PodCondition) []corev1.PodCondition {
	for _, c := range conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return []corev1.PodCondition{c}
		}
	}
	return nil
}
