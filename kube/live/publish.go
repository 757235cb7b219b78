package live

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/status"
	"github.com/weir-gpu/weir/sched"
)

// publish brings metrics and the statuses of owners and pools up to date.
func (l *loop) publish(now time.Time) {
	uses := l.engine.Usage()
	l.metrics.Owners(uses)
	waiting, running := 0, 0
	facts := status.Facts{
		Uses: uses, Pools: l.pools(), Rules: map[string]status.Rule{},
		Problems: map[string]string{}, Notes: map[string]string{},
	}
	for i := range uses {
		u := &uses[i]
		if strings.HasPrefix(u.Owner, v1alpha1.ProjectOwner("")) { // departments only repeat their projects
			waiting += u.Waiting
			running += u.Running
			pool := facts.Pools[u.Pool]
			pool.Granted.GPU += u.Granted.GPU
			pool.Granted.CPU += u.Granted.CPU
			pool.Granted.Memory += u.Granted.Memory
			facts.Pools[u.Pool] = pool
		}
	}
	l.metrics.Pods(waiting, len(l.flights), running-len(l.flights))
	for key, message := range l.told.known {
		facts.Problems[key] = message
	}
	l.describeRules(&facts)
	for pool, note := range l.state.Overlapped() {
		facts.Notes["NodePool/"+pool] = note
	}
	patches, err := l.board.Differences(facts, now)
	if err != nil {
		l.log.Error("statuses cannot be written", "error", err)
	}
	for _, p := range patches {
		// Few, and what people watch during a burst: not behind it.
		l.crew.Aside(func(ctx context.Context) { l.patchStatus(ctx, p) })
	}
}

// describeRules says how the rules fare that people wrote.
func (l *loop) describeRules(facts *status.Facts) {
	for _, use := range l.state.RuleUses() {
		key, kind := "WorkloadRule/"+use.Name, use.Kind.Kind
		facts.Rules[use.Name] = status.Rule{Workloads: int32(use.Workloads), Ahead: use.Ahead}
		switch {
		case facts.Problems[key] != "" || use.Ahead != "":
		case use.Failing > 0:
			facts.Notes[key] = fmt.Sprintf("it fails on %d of the objects; put the rule or the object right: %s",
				use.Failing, use.Failure)
		case l.owners.Missing(use.Kind):
			facts.Notes[key] = fmt.Sprintf("the cluster has no kind %s of %s yet", kind, use.Kind.GroupVersion())
		}
	}
}

// pools sums up what the nodes of each pool have.
func (l *loop) pools() map[string]status.Pool {
	pools := map[string]status.Pool{}
	for _, n := range l.nodes {
		name := n.Pool
		if name == "" {
			name = v1alpha1.DefaultPool
		}
		p := pools[name]
		p.Nodes++
		p.Capacity.GPU += int64(len(n.Devices)) * sched.GPU
		p.Capacity.CPU += n.Capacity.CPU
		p.Capacity.Memory += n.Capacity.Memory
		pools[name] = p
	}
	return pools
}

// patchStatus is called by workers.
func (l *loop) patchStatus(ctx context.Context, p status.Patch) {
	l.metrics.Wrote(p.Resource+"/status", "patch")
	err := l.clients.weir.Patch(types.JSONPatchType).Resource(p.Resource).Name(p.Name).SubResource("status").
		Body(p.Body).Do(ctx).Error()
	if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
		l.log.Warn("a status was not written", "resource", p.Resource, "name", p.Name, "error", err)
		l.inbox.post(func() {
			l.board.Unsent(p)
			l.told.stale = true
		})
	}
}
