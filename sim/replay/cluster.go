package replay

import (
	"fmt"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/sched"
)

// owners returns the owners of a plan as the engine knows them.
func (p *Plan) owners() []sched.Owner {
	var out []sched.Owner
	for _, o := range p.Owners {
		out = append(out, sched.Owner{Name: o.Name, Discipline: p.Discipline, Pools: map[string]sched.OwnerPool{p.poolOf(o.Name): {
			Quota:  sched.Amount{GPU: o.Quota * sched.GPU, CPU: sched.Unbounded, Memory: sched.Unbounded},
			Limit:  sched.NoLimit,
			Weight: o.Weight,
		}}})
	}
	return out
}

// pool is the pool that owners share, as a cluster has it by default.
func (p *Plan) pool() sched.Pool {
	pool := sched.Pool{Name: sched.DefaultPool, Surplus: p.Surplus}
	if p.Swap == nil {
		pool.SurplusRuntime = v1alpha1.DefaultSurplusRuntime.Milliseconds()
	} // else nothing is lost that it would spare, and the residency keeps swaps apart
	return pool
}

func (p *Plan) poolOf(owner string) string {
	if p.Apart {
		return owner
	}
	return sched.DefaultPool
}

// nodes returns the nodes of a plan.
func (p *Plan) nodes() []sched.Node {
	var out []sched.Node
	if !p.Apart {
		out = nodesOf(sched.DefaultPool, p.GPUs, p.PerNode)
	}
	for _, o := range p.Owners {
		if p.Apart {
			out = append(out, nodesOf(p.poolOf(o.Name), o.Quota, p.PerNode)...)
		}
	}
	if p.Swap != nil {
		for i := range out {
			out[i].HostMiB = int64(len(out[i].Devices)) * p.Swap.States * deviceMiB
		}
	}
	return out
}

// deviceMiB is the memory of every GPU. What it is makes no difference, as jobs
// have whole ones.
const deviceMiB = 16 << 10

// nodesOf returns the nodes of one pool; the last one may be smaller.
func nodesOf(pool string, gpus int64, perNode int) []sched.Node {
	var out []sched.Node
	for left := gpus; left > 0; left -= int64(perNode) {
		n := sched.Node{Name: fmt.Sprintf("%s-%04d", pool, len(out)), Pool: pool}
		for i := range min(left, int64(perNode)) {
			n.Devices = append(n.Devices, sched.Device{
				Name: fmt.Sprintf("gpu-%d", i), Model: "GPU", MemoryMiB: deviceMiB, ComputeMilli: sched.WholeCompute,
			})
		}
		n.Capacity.Pods = int64(len(n.Devices))
		out = append(out, n)
	}
	return out
}

// pods returns how many pods a job is made of, all alike, and what each asks
// for: with topology as few as nodes allow, else one for each GPU.
func (p *Plan) pods(gpus int) (int, sched.Ask) {
	if !p.Topology {
		return gpus, sched.Ask{Devices: 1}
	}
	pods := (gpus + p.PerNode - 1) / p.PerNode
	for gpus%pods != 0 {
		pods++
	}
	return pods, sched.Ask{Devices: gpus / pods}
}
