package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/state"
	"github.com/weir-gpu/weir/kube/watch"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/learn"
)

// Reader reads clusters as the live scheduler does: the same objects, from the
// same sources, through the same translator.
type Reader struct {
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	Weir    rest.Interface // see [watch.WeirClient]

	// State and Engine are configured as those of the live scheduler.
	State  state.Config
	Engine sched.Config
}

// Read lists the objects of the cluster once and builds a view of them.
func (r Reader) Read(ctx context.Context, now time.Time) (*View, error) {
	objects, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	return FromObjects(now, objects, r.State, r.Engine), nil
}

// FromObjects builds a view of objects, wherever they are from.
func FromObjects(now time.Time, objects []runtime.Object, sc state.Config, ec sched.Config) *View {
	st, ledger, engine, pods := state.New(sc), NewLedger(), sched.New(ec), learn.NewFollower()
	var refused []Problem // the live scheduler goes on without them, too
	tell := func(ev sched.Event) {
		if err := engine.Apply(ev); err != nil {
			refused = append(refused, Problem{"Event", fmt.Sprintf("%T", ev), err.Error()})
			return
		}
		pods.Told(ev)
	}
	for _, obj := range objects {
		for _, ev := range st.Set(obj) {
			ledger.Apply(ev)
			tell(ev)
		}
	}
	if ev, ok := pods.Due(); ok {
		tell(ev)
	}
	v := Build(now, ledger, foresee(engine, now), func(id string) string {
		p, ok := st.Pod(id)
		if !ok {
			return ""
		}
		return string(p.Object.Status.Phase)
	})
	v.Problems = refused
	v.addProblems(st)
	v.addIdle(objects, st)
	slices.SortFunc(v.Workloads, func(a, b Workload) int { return strings.Compare(a.ID, b.ID) })
	return v
}

// list reads all kinds at once and returns their objects so that what others
// refer to comes first, which spares the translator from deriving it twice.
func (r Reader) list(ctx context.Context) ([]runtime.Object, error) {
	weir, err := listAll(ctx, watch.Weir(r.Weir))
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	owners, err := watch.NewOwners(quiet, clock.RealClock{}, r.Kube.Discovery(), r.Dynamic).Sources(kindsOf(weir))
	if err != nil {
		return nil, err
	}
	rest, err := listAll(ctx, append(watch.Cluster(r.Kube), owners...))
	if err != nil {
		return nil, err
	}
	all := append(weir, rest...)
	slices.SortStableFunc(all, func(a, b runtime.Object) int { return rank(a) - rank(b) })
	return all, nil
}

// rank puts pods last.
func rank(obj runtime.Object) int {
	if _, ok := obj.(*corev1.Pod); ok {
		return 1
	}
	return 0
}

// kindsOf returns the kinds that own pods: the built-in ones, and those of the
// cluster's own rules.
func kindsOf(objects []runtime.Object) []schema.GroupVersionKind {
	kinds := map[schema.GroupVersionKind]bool{}
	for _, gvk := range workload.Builtin().Kinds() {
		kinds[gvk] = true
	}
	for _, obj := range objects {
		if o, ok := obj.(*v1alpha1.WorkloadRule); ok {
			if rule, err := workload.Compile(o); err == nil {
				kinds[rule.GVK] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(kinds), func(a, b schema.GroupVersionKind) int {
		return strings.Compare(a.String(), b.String())
	})
}

// listAll lists sources side by side.
func listAll(ctx context.Context, sources []watch.Source) ([]runtime.Object, error) {
	lists := make([][]runtime.Object, len(sources))
	errs := make([]error, len(sources))
	var wait sync.WaitGroup
	for i, s := range sources {
		wait.Go(func() { lists[i], errs[i] = listOne(ctx, s) })
	}
	wait.Wait()
	return slices.Concat(lists...), errors.Join(errs...)
}

func listOne(ctx context.Context, s watch.Source) ([]runtime.Object, error) {
	list, err := cache.ToListerWatcherWithContext(s.List).ListWithContext(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return meta.ExtractList(list)
}
