package tree

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/sched"
)

// resources is what quotas are of, with how a number of it is written.
var resources = []struct {
	name  string
	of    func(sched.Amount) int64
	write func(int64) string
}{
	{"gpu", func(a sched.Amount) int64 { return a.GPU },
		func(n int64) string { return v1alpha1.FiguresOf(sched.Amount{GPU: n}).GPU }},
	{"cpu", func(a sched.Amount) int64 { return a.CPU },
		func(n int64) string { return v1alpha1.FiguresOf(sched.Amount{CPU: n}).CPU }},
	{"memory", func(a sched.Amount) int64 { return a.Memory },
		func(n int64) string { return v1alpha1.FiguresOf(sched.Amount{Memory: n}).Memory }},
}

// checkQuotas tells where the children of a department are guaranteed more
// than the department itself: nobody could keep such a promise.
func (c *checker) checkQuotas() {
	for name, d := range c.departments {
		if d.malformed {
			continue // what it is guaranteed is not known
		}
		children := slices.Clone(c.children[name])
		slices.SortFunc(children, func(a, b *member) int { return cmp.Compare(a.object, b.object) })
		for _, pool := range poolsOf(children) {
			for r := range resources {
				c.checkQuota(d, children, pool, r)
			}
		}
	}
}

// poolsOf returns the node pools that any of the members names, in order.
func poolsOf(members []*member) []string {
	pools := map[string]bool{}
	for _, m := range members {
		for pool := range m.owner.Pools {
			pools[pool] = true
		}
	}
	return slices.Sorted(maps.Keys(pools))
}

func (c *checker) checkQuota(d *member, children []*member, pool string, r int) {
	res := resources[r]
	bound, field := d.bound(pool, r)
	if bound == sched.Unbounded {
		return
	}
	var sum int64
	var parts []string
	for _, m := range children {
		share, ok := m.owner.Pools[pool]
		quota := res.of(share.Quota)
		if !ok || quota <= 0 { // nothing guaranteed, or not counted
			continue
		}
		sum = min(sum, math.MaxInt64-quota) + quota
		parts = append(parts, fmt.Sprintf("%s (%s)", m.object, res.write(quota)))
	}
	if sum <= bound {
		return
	}
	c.tell(d.object, AboveParent, field, res.write(bound),
		fmt.Sprintf("below the %s that its members are guaranteed in node pool %s, %s", res.write(sum), pool, list(parts)),
		fmt.Sprintf("write at least %s, or lower their quotas", res.write(sum)))
}

// bound returns what the members of a department may be guaranteed in all, and
// the field that says so: its quota, or its limit where the quota is not
// counted.
func (m *member) bound(pool string, r int) (bound int64, field string) {
	share, ok := m.owner.Pools[pool]
	if !ok { // no part in the pool: no GPUs of it are guaranteed
		share.Quota = sched.Amount{CPU: sched.Unbounded, Memory: sched.Unbounded}
		share.Limit = sched.NoLimit
	}
	path := fmt.Sprintf("spec.pools[name=%s]", pool)
	if i := slices.IndexFunc(m.shares, func(s v1alpha1.PoolShare) bool { return s.PoolName() == pool }); i >= 0 {
		path = fmt.Sprintf("spec.pools[%d]", i)
	}
	res := resources[r]
	if quota := res.of(share.Quota); quota != sched.Unbounded {
		return quota, path + ".quota." + res.name
	}
	return res.of(share.Limit), path + ".limit." + res.name
}
