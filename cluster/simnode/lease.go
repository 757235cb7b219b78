package simnode

import (
	"context"
	"maps"
	"slices"
	"time"

	coordination "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leases says for every node, spread evenly over the time between two leases,
// that it lives. One goroutine runs it.
type leases struct {
	fleet *Fleet
	held  map[string]*coordination.Lease
	due   map[string]time.Time
}

func newLeases(f *Fleet) *leases {
	return &leases{fleet: f, held: map[string]*coordination.Lease{}, due: map[string]time.Time{}}
}

func (l *leases) run(ctx context.Context) {
	l.adopt(ctx)
	const beat = time.Second
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		l.renew(ctx, beat)
		l.fleet.reviveSilent(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// adopt takes over the leases of an earlier run.
func (l *leases) adopt(ctx context.Context) {
	list, err := l.fleet.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).List(ctx, metav1.ListOptions{})
	if err != nil {
		return // each is fetched when it is due
	}
	for i := range list.Items {
		l.held[list.Items[i].Name] = &list.Items[i]
	}
}

// renew renews what is due, but no more than what keeps the pace even.
func (l *leases) renew(ctx context.Context, beat time.Duration) {
	now := l.fleet.opts.Now()
	nodes := l.fleet.nodes.GetStore().ListKeys()
	l.dropGone(nodes)
	var due []string
	for _, name := range nodes {
		if _, up := l.fleet.up(name); up && !now.Before(l.due[name]) {
			due = append(due, name)
		}
	}
	slices.SortFunc(due, func(a, b string) int { return l.due[a].Compare(l.due[b]) })
	pace := 1 + 2*len(nodes)*int(beat)/int(l.fleet.opts.Lease)
	for _, name := range due[:min(pace, len(due))] {
		lease, err := l.write(ctx, name, now)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			delete(l.held, name) // fetched anew at the next beat
			continue
		}
		l.held[name] = lease
		l.due[name] = now.Add(l.fleet.opts.Lease)
	}
}

// reviveSilent lets those nodes report again that the node controller has given
// up: they were silent for too long, as when the machine slept.
func (f *Fleet) reviveSilent(ctx context.Context) {
	var silent []string
	for _, name := range f.nodes.GetStore().ListKeys() {
		if node, up := f.up(name); up && !ready(node) {
			silent = append(silent, name)
		}
	}
	err := each(f.opts.Workers, silent, func(name string) error {
		return ignoreGone(f.updateNode(ctx, name, func(node *corev1.Node) {
			if _, up := f.up(name); up {
				f.revive(node)
			}
		}))
	})
	if err != nil && ctx.Err() == nil {
		f.opts.Logger.Warn("simulated nodes cannot report that they are up", "err", err)
	}
}

// dropGone forgets nodes that are no more.
func (l *leases) dropGone(nodes []string) {
	if len(l.due) <= len(nodes) {
		return
	}
	known := make(map[string]bool, len(nodes))
	for _, name := range nodes {
		known[name] = true
	}
	maps.DeleteFunc(l.due, func(name string, _ time.Time) bool { return !known[name] })
	maps.DeleteFunc(l.held, func(name string, _ *coordination.Lease) bool { return !known[name] })
}

func (l *leases) write(ctx context.Context, name string, now time.Time) (*coordination.Lease, error) {
	client := l.fleet.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	at := metav1.NewMicroTime(now)
	if old := l.held[name]; old != nil {
		next := old.DeepCopy()
		next.Spec.RenewTime = &at
		return client.Update(ctx, next, metav1.UpdateOptions{})
	}
	if old, err := client.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		if err != nil {
			return nil, err
		}
		old.Spec.RenewTime = &at
		return client.Update(ctx, old, metav1.UpdateOptions{})
	}
	obj, ok, err := l.fleet.nodes.GetStore().GetByKey(name)
	if err != nil || !ok {
		return nil, err
	}
	seconds := int32(3 * l.fleet.opts.Lease / time.Second)
	return client.Create(ctx, &coordination.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Node", Name: name, UID: obj.(*corev1.Node).UID,
			}},
		},
		Spec: coordination.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &at},
	}, metav1.CreateOptions{})
}
