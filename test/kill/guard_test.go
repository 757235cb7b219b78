package kill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// guard judges every state that pods and claims go through, twice: by watches,
// which show each change in its order, and by lists, which owe nothing to what
// was seen before.
type guard struct {
	kube     kubernetes.Interface
	capacity map[place]int64
	fail     func(error)
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	nodes   map[string]string // of bound pods, by name
	changed chan struct{}     // closed when nodes changes
	states  int
	lists   int
	away    bool // the test has taken the API server away
	gaps    int  // how often something could not be judged
}

// pause is between two lists.
const pause = 75 * time.Millisecond

func (p *plant) guard(ctx context.Context, t *testing.T) *guard {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	g := &guard{kube: p.kube, capacity: p.capacity, cancel: cancel, nodes: map[string]string{},
		changed: make(chan struct{}),
		fail:    func(err error) { t.Errorf("%s: %v", time.Now().Format("15:04:05.000"), err) }}
	g.running.Go(func() { g.follow(ctx, g.pods()) })
	g.running.Go(func() { g.follow(ctx, g.claims()) })
	g.running.Go(func() { g.list(ctx, g.judgePods) })
	g.running.Go(func() { g.list(ctx, g.judgeClaims) })
	t.Cleanup(func() { g.stop() })
	return g
}

// stop ends the guard; it returns how much it judged.
func (g *guard) stop() (states, lists int) {
	g.cancel()
	g.running.Wait()
	return g.states, g.lists
}

// stream is one kind of object to judge.
type stream struct {
	list  func(context.Context) (version string, objects []runtime.Object, err error)
	watch cache.WatchFuncWithContext
	judge func(*ledger, watch.Event) error
}

func (g *guard) pods() stream {
	pods := g.kube.CoreV1().Pods(namespace)
	return stream{
		list: func(ctx context.Context) (string, []runtime.Object, error) {
			list, err := pods.List(ctx, metav1.ListOptions{})
			if err != nil {
				return "", nil, err
			}
			return list.ResourceVersion, pointers[*corev1.Pod](list.Items), nil
		},
		watch: pods.Watch, judge: g.judgePod,
	}
}

func (g *guard) claims() stream {
	claims := g.kube.ResourceV1().ResourceClaims(namespace)
	return stream{
		list: func(ctx context.Context) (string, []runtime.Object, error) {
			list, err := claims.List(ctx, metav1.ListOptions{})
			if err != nil {
				return "", nil, err
			}
			return list.ResourceVersion, pointers[*resourcev1.ResourceClaim](list.Items), nil
		},
		watch: claims.Watch, judge: g.judgeClaim,
	}
}

func pointers[P interface {
	*T
	runtime.Object
}, T any](items []T) (objects []runtime.Object) {
	for i := range items {
		objects = append(objects, P(&items[i]))
	}
	return objects
}

// follow judges each change. Where the API server was away, and a watch cannot
// go on where it was, it begins anew with a list.
func (g *guard) follow(ctx context.Context, s stream) {
	for ctx.Err() == nil {
		g.missed(ctx, g.judgeChanges(ctx, s))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// judgeChanges judges what there is, and each change since, with a ledger of
// its own. It returns why it could not go on.
func (g *guard) judgeChanges(ctx context.Context, s stream) error {
	version, objects, err := s.list(ctx)
	if err != nil {
		return err
	}
	l := newLedger(g.capacity)
	judge := func(e watch.Event) {
		if err := s.judge(l, e); err != nil {
			g.fail(err)
		}
	}
	for _, o := range objects {
		judge(watch.Event{Type: watch.Added, Object: o})
	}
	w, err := watchtools.NewRetryWatcherWithContext(ctx, version, &cache.ListWatch{WatchFuncWithContext: s.watch})
	if err != nil {
		return err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if e.Type == watch.Error {
			return fmt.Errorf("the watch ended: %v", e.Object)
		}
		judge(e)
	}
	return errors.New("the watch ended")
}

// missed notes that something could not be judged. It is a failure where the
// test leaves the API server alone.
func (g *guard) missed(ctx context.Context, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ctx.Err() != nil {
		return // the guard is being stopped
	}
	if g.gaps++; !g.away {
		g.fail(err)
	}
}

// outage says whether the API server is being taken away.
func (g *guard) outage(away bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.away = away
}

func (g *guard) judgePod(l *ledger, e watch.Event) error {
	pod, ok := e.Object.(*corev1.Pod)
	if !ok {
		return nil
	}
	holds, err := podHolds(pod), error(nil)
	if e.Type == watch.Deleted {
		holds, err = nil, fmt.Errorf("pod %s was deleted, and nobody asked for that", pod.Name)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.states++
	if was := g.nodes[pod.Name]; was != "" && was != pod.Spec.NodeName {
		err = errors.Join(err, fmt.Errorf("pod %s went from node %s to %q", pod.Name, was, pod.Spec.NodeName))
	}
	if pod.Spec.NodeName != "" && g.nodes[pod.Name] == "" {
		g.nodes[pod.Name] = pod.Spec.NodeName
		close(g.changed)
		g.changed = make(chan struct{})
	}
	return errors.Join(err, l.set("pod "+pod.Name, holds))
}

func (g *guard) judgeClaim(l *ledger, e watch.Event) error {
	c, ok := e.Object.(*resourcev1.ResourceClaim)
	if !ok {
		return nil
	}
	holds, err := claimHolds(c, g.capacity)
	if e.Type == watch.Deleted {
		holds, err = nil, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.states++
	return errors.Join(err, l.set("claim "+c.Name, holds))
}

// list judges what there is, again and again.
func (g *guard) list(ctx context.Context, judge func(context.Context) error) {
	for ctx.Err() == nil {
		if err := judge(ctx); err != nil && ctx.Err() == nil {
			g.fail(err)
		}
		g.mu.Lock()
		g.lists++
		g.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// The API server answers from its cache: a list is one state of the past, all
// of it of the same moment, and that is all that is asked of it here.
var snapshot = metav1.ListOptions{ResourceVersion: "0"}

func (g *guard) judgePods(ctx context.Context) error {
	pods, err := g.kube.CoreV1().Pods(namespace).List(ctx, snapshot)
	if err != nil {
		g.missed(ctx, err)
		return nil
	}
	var errs []error
	l := newLedger(g.capacity)
	for i := range pods.Items {
		errs = append(errs, l.set("pod "+pods.Items[i].Name, podHolds(&pods.Items[i])))
	}
	return errors.Join(errs...)
}

func (g *guard) judgeClaims(ctx context.Context) error {
	claims, err := g.kube.ResourceV1().ResourceClaims(namespace).List(ctx, snapshot)
	if err != nil {
		g.missed(ctx, err)
		return nil
	}
	var errs []error
	l := newLedger(g.capacity)
	for i := range claims.Items {
		holds, err := claimHolds(&claims.Items[i], g.capacity)
		errs = append(errs, err, l.set("claim "+claims.Items[i].Name, holds))
	}
	return errors.Join(errs...)
}

// bound tells how many pods have been bound.
func (g *guard) bound() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.nodes)
}

// until waits until that many pods are bound.
func (g *guard) until(ctx context.Context, n int) error {
	for {
		g.mu.Lock()
		have, changed := len(g.nodes), g.changed
		g.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d pods are bound, and it should be %d: %w", have, n, ctx.Err())
		}
	}
}
