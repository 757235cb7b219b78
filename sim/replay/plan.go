package replay

import (
	"maps"
	"slices"
	"time"

	"github.com/weir-gpu/weir/sched"
)

// Plan is how a cluster is shared: data for the engine.
type Plan struct {
	Name    string
	Owners  []Owner
	GPUs    int64 // of all nodes
	PerNode int   // GPUs a node has
	// Apart gives each owner nodes of its own, as many as its quota.
	Apart bool
	// Topology keeps a job together: on one node, or on as few as it needs.
	// Without it a job takes any free GPUs, wherever they are.
	Topology bool
	// Swap, if set, suspends work rather than evicting it.
	Swap *Swap
	// Surplus is how what nobody is guaranteed is divided, as [sched.Pool] has it.
	Surplus string
	// Discipline is the order among a tenant's jobs, as [sched.Owner] has it.
	// Under [sched.Shortest] the engine is told how long a job is expected to run
	// from how long others of the tenant ran, of the same size where there are
	// any.
	Discipline string
}

// Swap is how work is suspended, and what that costs.
type Swap struct {
	// Cost is for how long a job's GPUs do nothing when it is suspended, and
	// again when it resumes.
	Cost time.Duration
	// Residency is how long what started or resumed is left alone.
	Residency time.Duration
	// States is how many GPUs' memory the host memory of a node has room for, for
	// each GPU of the node.
	States int64
}

// DefaultSwap is ten seconds each way, a minute in between, and host memory
// twice as large as that of the GPUs.
var DefaultSwap = Swap{Cost: 10 * time.Second, Residency: time.Minute, States: 2}

// Owner is a tenant and what it is guaranteed.
type Owner struct {
	Name  string
	Quota int64 // GPUs
	// Weight divides the surplus. What is lent against a weight above 0 may be
	// taken back to divide the surplus anew; at 0, only for somebody's quota.
	Weight int64
	// Share is what the tenant would have of its own; in a pool of another size
	// it is entitled to that part of the sum. It is measured against only.
	Share int64
}

// Static is the plan in which each tenant has its own GPUs, sized to a quantile
// (in per mille) of its demand.
func Static(of map[string]*Demand, mille, perNode int, topology bool) Plan {
	p := Plan{Name: "static", PerNode: perNode, Apart: true, Topology: topology}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		size := of[name].Size(mille, perNode)
		p.Owners = append(p.Owners, Owner{Name: name, Quota: size, Weight: 1, Share: size})
		p.GPUs += size
	}
	return p
}

// Shared is the plan in which the tenants of a static plan share one pool, so
// far without quotas: whoever has the least borrows next, and nothing is taken
// back.
func Shared(static Plan, gpus int64) Plan {
	p := static
	p.Name, p.GPUs, p.Apart = "quota", gpus, false
	p.Owners = slices.Clone(static.Owners)
	for i := range p.Owners {
		p.Owners[i].Quota, p.Owners[i].Weight = 0, 0
	}
	return p
}

// Swapping returns the plan with work that is suspended rather than evicted, and
// surplus divided by service: whoever was served less, by the owner's weight,
// suspends whoever was served more.
func (p Plan) Swapping(s *Swap) Plan {
	p.Swap, p.Discipline = s, sched.Service
	return p.Dividing(sched.ByService)
}

// Dividing returns the plan with surplus that is divided in that way, and taken
// back to divide it anew: by suspending work, where the plan does, else, by
// share only, by evicting it.
func (p Plan) Dividing(surplus string) Plan {
	p.Surplus = surplus
	p.Owners = slices.Clone(p.Owners)
	for i := range p.Owners {
		p.Owners[i].Weight = 1
	}
	return p
}

// With returns the plan with other quotas; who is not named has none.
func (p Plan) With(quotas map[string]int64) Plan {
	p.Owners = slices.Clone(p.Owners)
	for i := range p.Owners {
		p.Owners[i].Quota = quotas[p.Owners[i].Name]
	}
	return p
}

// Quotas returns the quotas that are not 0.
func (p *Plan) Quotas() map[string]int64 {
	out := map[string]int64{}
	for _, o := range p.Owners {
		if o.Quota > 0 {
			out[o.Name] = o.Quota
		}
	}
	return out
}
