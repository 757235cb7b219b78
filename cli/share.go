package cli

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cli/quantity"
)

// shareFlags are what an owner has in one pool, as flags.
type shareFlags struct {
	pool                      string
	gpu, cpu, memory          string
	limit, limitCPU, limitMem string
	weight, priority          string
}

func (f *shareFlags) addTo(c *cobra.Command) {
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.pool, "pool", v1alpha1.DefaultPool, "node pool that these amounts are of")
	fl.StringVar(&f.gpu, "gpu", "", "guaranteed GPUs, such as 8 or 2.5")
	fl.StringVar(&f.cpu, "cpu", "", "guaranteed CPUs, or none: CPU is not counted")
	fl.StringVar(&f.memory, "memory", "", "guaranteed memory such as 512Gi, or none: memory is not counted")
	fl.StringVar(&f.limit, "limit", "", "GPUs that it may use in all, borrowed ones included; none for no limit")
	fl.StringVar(&f.limitCPU, "limit-cpu", "", "CPUs that it may use in all; none for no limit")
	fl.StringVar(&f.limitMem, "limit-memory", "", "memory that it may use in all; none for no limit")
	fl.StringVar(&f.weight, "weight", "", "part of the surplus, against siblings of the same priority (default 1)")
	fl.StringVar(&f.priority, "priority", "", "siblings of higher priority get surplus first (default 0)")
}

// changed reports whether any amount was given.
func (f *shareFlags) changed() bool {
	empty := shareFlags{pool: f.pool}
	return *f != empty
}

// apply writes what was given into the entry of the pool, which it makes where
// there is none.
func (f *shareFlags) apply(pools []v1alpha1.PoolShare) ([]v1alpha1.PoolShare, error) {
	i := slices.IndexFunc(pools, func(p v1alpha1.PoolShare) bool { return p.Name == f.pool })
	if i < 0 {
		pools = append(pools, v1alpha1.PoolShare{Name: f.pool})
		i = len(pools) - 1
	}
	p := &pools[i]
	for _, a := range []struct {
		flag, value string
		into        **resource.Quantity
		read        func(string) (resource.Quantity, error)
	}{
		{"gpu", f.gpu, &p.Quota.GPU, readGPUs},
		{"cpu", f.cpu, &p.Quota.CPU, quantity.ParseResource},
		{"memory", f.memory, &p.Quota.Memory, quantity.ParseResource},
		{"limit", f.limit, &p.Limit.GPU, readGPUs},
		{"limit-cpu", f.limitCPU, &p.Limit.CPU, quantity.ParseResource},
		{"limit-memory", f.limitMem, &p.Limit.Memory, quantity.ParseResource},
	} {
		switch a.value {
		case "":
		case "none":
			*a.into = nil
		default:
			q, err := a.read(a.value)
			if err != nil {
				return nil, refused("--%s: %w", a.flag, err)
			}
			*a.into = &q
		}
	}
	if err := f.applyWeight(p); err != nil {
		return nil, err
	}
	if q, l := p.Quota.GPU, p.Limit.GPU; q != nil && l != nil && q.Cmp(*l) > 0 {
		return nil, refused("--limit: %s GPUs are fewer than the %s that are guaranteed in pool %s: "+
			"write at least as many, or none", l, q, f.pool)
	}
	return pools, nil
}

func (f *shareFlags) applyWeight(p *v1alpha1.PoolShare) error {
	if f.weight != "" {
		n, err := strconv.ParseInt(f.weight, 10, 64)
		if err != nil || n < 0 || n > 1_000_000 {
			return refused("--weight %q is not a weight: write a whole number from 0 to 1000000, "+
				"where 0 borrows only what nobody else wants", f.weight)
		}
		p.Weight = &n
	}
	if f.priority != "" {
		n, err := strconv.ParseInt(f.priority, 10, 32)
		if err != nil {
			return refused("--priority %q is not a priority: write a whole number, such as 10", f.priority)
		}
		p.Priority = int32(n)
	}
	return nil
}

// readGPUs reads a quota; it is kept as it was written.
func readGPUs(s string) (resource.Quantity, error) {
	micro, err := quantity.ParseGPUs(s)
	if err != nil {
		return resource.Quantity{}, err
	}
	q, err := resource.ParseQuantity(quantity.GPUs(micro))
	if err != nil {
		return q, fmt.Errorf("%q is not an amount of GPUs: %w", s, err)
	}
	return q, nil
}
