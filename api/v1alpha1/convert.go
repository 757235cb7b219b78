package v1alpha1

import (
	"fmt"
	"slices"

	"github.com/weir-gpu/weir/sched"
)

// DepartmentOwner returns the engine's name for a department. Departments and
// projects may have the same name, so the engine's names tell them apart.
func DepartmentOwner(name string) string { return "department/" + name }

// ProjectOwner returns the engine's name for a project.
func ProjectOwner(name string) string { return "project/" + name }

// Owner returns the department as the engine takes it. The error is a
// [*FieldError].
func (d *Department) Owner() (sched.Owner, error) {
	pools, err := ownerPools(d.Spec.Pools)
	if err != nil {
		return sched.Owner{}, err
	}
	return sched.Owner{Name: DepartmentOwner(d.Name), Parent: parentOwner(d.Spec.Parent), Pools: pools}, nil
}

// Owner returns the project as the engine takes it. The error is a
// [*FieldError].
func (p *Project) Owner() (sched.Owner, error) {
	pools, err := ownerPools(p.Spec.Pools)
	if err != nil {
		return sched.Owner{}, err
	}
	return sched.Owner{
		Name:       ProjectOwner(p.Name),
		Parent:     parentOwner(p.Spec.Department),
		Pools:      pools,
		PoolOrder:  slices.Clone(p.Spec.PoolOrder),
		Discipline: string(p.Spec.Discipline),
	}, nil
}

// NamespaceNames returns the namespaces whose pods belong to the project.
func (p *Project) NamespaceNames() []string {
	if len(p.Spec.Namespaces) == 0 {
		return []string{p.Name}
	}
	return p.Spec.Namespaces
}

// Pool returns the node pool as the engine takes it.
func (p *NodePool) Pool() sched.Pool {
	spared := DefaultSurplusRuntime
	if d := p.Spec.SurplusRuntime; d != nil {
		spared = max(d.Duration, 0)
	}
	return sched.Pool{
		Name:           p.Name,
		GPUPlacement:   string(p.Spec.Placement.GPU),
		CPUPlacement:   string(p.Spec.Placement.CPU),
		SurplusRuntime: spared.Milliseconds(),
		Surplus:        string(p.Spec.Surplus),
	}
}

// Selects reports whether a node with these labels is one of the pool's. The
// default pool selects none: it is what the others leave.
func (p *NodePool) Selects(nodeLabels map[string]string) bool {
	for key, value := range p.Spec.NodeSelector {
		if got, ok := nodeLabels[key]; !ok || got != value {
			return false
		}
	}
	return len(p.Spec.NodeSelector) > 0 && p.Name != DefaultPool
}

// PoolOf returns the name of the pool that a node with these labels is in: the
// first by name of those that select it, else the default pool.
func PoolOf(nodeLabels map[string]string, pools []NodePool) string {
	name := DefaultPool
	for i := range pools {
		if (name == DefaultPool || pools[i].Name < name) && pools[i].Selects(nodeLabels) {
			name = pools[i].Name
		}
	}
	return name
}

func parentOwner(department string) string {
	if department == "" {
		return ""
	}
	return DepartmentOwner(department)
}

// ownerPools converts what an owner has in each pool. No pools at all stand
// for no quota and no limit in the default pool.
func ownerPools(shares []PoolShare) (map[string]sched.OwnerPool, error) {
	if len(shares) == 0 {
		shares = []PoolShare{{}}
	}
	pools := make(map[string]sched.OwnerPool, len(shares))
	for i := range shares {
		path := fmt.Sprintf("spec.pools[%d]", i)
		pool, err := shares[i].ownerPool()
		if err != nil {
			return nil, err.under(path)
		}
		name := shares[i].PoolName()
		if _, twice := pools[name]; twice {
			return nil, &FieldError{path + ".name", name, "which is there twice", "name each node pool once"}
		}
		pools[name] = pool
	}
	return pools, nil
}

// PoolName returns the node pool that the share is of.
func (s *PoolShare) PoolName() string {
	if s.Name == "" {
		return DefaultPool
	}
	return s.Name
}

// ownerPool returns the share as the engine takes it, exactly. What the API
// server checks is checked again: not every object comes from one.
func (s *PoolShare) ownerPool() (sched.OwnerPool, *FieldError) {
	out := sched.OwnerPool{Weight: 1, Priority: s.Priority}
	if s.Weight != nil {
		out.Weight = *s.Weight
	}
	if out.Weight < 0 || out.Weight > MaxWeight {
		valid := fmt.Sprintf("write a whole number from 0 to %d", MaxWeight)
		return out, &FieldError{"weight", fmt.Sprint(out.Weight), "", valid}
	}
	for _, f := range amountFields {
		quota, err := f.parse(f.in(&s.Quota), f.noQuota)
		if err != nil {
			return out, err.under("quota")
		}
		limit, err := f.parse(f.in(&s.Limit), sched.Unbounded)
		if err != nil {
			return out, err.under("limit")
		}
		if limit != sched.Unbounded && quota > limit {
			valid := fmt.Sprintf("write at most %s, or raise or omit limit.%s", f.in(&s.Limit), f.name)
			return out, &FieldError{"quota." + f.name, f.in(&s.Quota).String(), "above limit." + f.name, valid}
		}
		*f.out(&out.Quota), *f.out(&out.Limit) = quota, limit
	}
	return out, nil
}

// MaxWeight is the greatest weight.
const MaxWeight = 1_000_000
