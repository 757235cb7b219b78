package watch

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// lookAgain is how often the cluster is asked for kinds that it did not have.
const lookAgain = 30 * time.Second

// Owners follows the kinds that own pods: those that grouping rules name, as
// far as the cluster has them, and from when it does.
type Owners struct {
	log    *slog.Logger
	clock  clock.Clock
	mapper *restmapper.DeferredDiscoveryRESTMapper
	client dynamic.Interface
	nudge  chan struct{}

	mu      sync.Mutex
	missing map[schema.GroupVersionKind]struct{}
	refused map[schema.GroupVersionKind]error // by the API server, when it was last asked
}

// NewOwners returns an Owners for a cluster.
func NewOwners(log *slog.Logger, c clock.Clock, d discovery.DiscoveryInterface, client dynamic.Interface) *Owners {
	return &Owners{
		log:     log,
		clock:   c,
		mapper:  restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d)),
		client:  client,
		nudge:   make(chan struct{}, 1),
		missing: map[schema.GroupVersionKind]struct{}{},
		refused: map[schema.GroupVersionKind]error{},
	}
}

// Sources returns the sources of those kinds that the cluster has. The others
// are wanted as by [Owners.Want].
func (o *Owners) Sources(kinds []schema.GroupVersionKind) ([]Source, error) {
	var sources []Source
	for _, gvk := range kinds {
		s, ok, err := o.source(gvk)
		if err != nil {
			return nil, err
		}
		if ok {
			sources = append(sources, s)
		} else {
			o.missing[gvk] = struct{}{}
		}
	}
	return sources, nil
}

// Want asks for a kind to be followed as soon as the cluster has it.
func (o *Owners) Want(gvk schema.GroupVersionKind) {
	o.mu.Lock()
	o.missing[gvk] = struct{}{}
	o.mu.Unlock()
	select {
	case o.nudge <- struct{}{}:
	default:
	}
}

// Missing reports whether the cluster lacks a kind that is wanted.
func (o *Owners) Missing(gvk schema.GroupVersionKind) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.missing[gvk]
	return ok
}

// Refused says why objects of a kind may not be looked at, if that is so.
func (o *Owners) Refused(gvk schema.GroupVersionKind) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refused[gvk]
}

// answered notes whether the API server refused to show objects of a kind.
func (o *Owners) answered(gvk schema.GroupVersionKind, resource string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil:
		delete(o.refused, gvk)
	case apierrors.IsForbidden(err):
		o.refused[gvk] = fmt.Errorf("Weir may not list and watch %s; allow it by a ClusterRole with the label "+
			"weir.dev/kinds: \"true\"", resource)
	}
}

// Run looks for wanted kinds until ctx ends.
func (o *Owners) Run(ctx context.Context, feed *Feed) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.nudge:
		case <-o.clock.After(lookAgain):
		}
		o.look(feed)
	}
}

func (o *Owners) look(feed *Feed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.missing) == 0 {
		return
	}
	o.mapper.Reset()
	for gvk := range o.missing {
		s, ok, err := o.source(gvk)
		if err != nil {
			o.log.Warn("cannot look for a kind that owns pods; trying again", "kind", gvk.String(), "error", err)
			return
		}
		if ok {
			delete(o.missing, gvk)
			o.log.Info("following a kind that owns pods", "kind", gvk.String())
			feed.Follow(s)
		}
	}
}

// source returns the source of a kind; ok is false when the cluster does not
// have the kind.
func (o *Owners) source(gvk schema.GroupVersionKind) (s Source, ok bool, err error) {
	m, err := o.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	switch {
	case meta.IsNoMatchError(err):
		return Source{}, false, nil
	case err != nil:
		return Source{}, false, fmt.Errorf("asking the API server for the kind %s: %w", gvk, err)
	}
	example := &unstructured.Unstructured{}
	example.SetGroupVersionKind(gvk)
	return Source{
		Name:    m.Resource.GroupResource().String(),
		Example: example,
		List:    o.listWatch(gvk, m.Resource),
	}, true, nil
}

func (o *Owners) listWatch(gvk schema.GroupVersionKind, gvr schema.GroupVersionResource) cache.ListerWatcher {
	resource, name := o.client.Resource(gvr), gvr.GroupResource().String()
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			list, err := resource.List(ctx, opts)
			o.answered(gvk, name, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (apiwatch.Interface, error) {
			w, err := resource.Watch(ctx, opts)
			o.answered(gvk, name, err)
			return w, err
		},
	}
}
