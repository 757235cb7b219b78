package laws_test

import (
	"strings"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// onlyOn is the tests' node fitness: class "only n1" fits node n1 alone.
type onlyOn struct{}

func (onlyOn) Fits(fit, node string, _ []sched.Placement) string {
	if want := strings.TrimPrefix(fit, "only "); want != node {
		return "the pod wants node " + want
	}
	return ""
}

func (onlyOn) Moving(string) bool { return false }

var surplusRuntimes = rapid.SampledFrom([]int64{0, 0, 0, 5_000, 600_000})

const gib = int64(1) << 30

// histories draws small clusters in which everything that can happen does.
var histories = rapid.Custom(func(t *rapid.T) laws.History {
	h := laws.History{
		Nodes:  rapid.SliceOfN(nodes, 1, 3).Draw(t, "nodes"),
		Owners: owners(t),
	}
	for i := range h.Nodes {
		h.Nodes[i].Name = "n" + string(rune('1'+i))
	}
	pool := sched.Pool{Name: sched.DefaultPool, SurplusRuntime: surplusRuntimes.Draw(t, "surplus run time")}
	if oneIn(t, 3, "placement") {
		rule := rapid.SampledFrom([]string{sched.Pack, sched.Spread, sched.FGD, sched.Dense, sched.Dense}).Draw(t, "rule")
		pool.GPUPlacement, pool.CPUPlacement = rule, rule
	}
	h.Pools = []sched.Pool{pool}
	h.Steps = rapid.SliceOfN(steps, 3, 16).Draw(t, "steps")
	if oneIn(t, 3, "swapping") {
		swapping(t, &h)
	}
	return h
})

func oneIn(t *rapid.T, n int, label string) bool {
	return rapid.IntRange(1, n).Draw(t, label) == n // shrinks to no
}

// swapping gives nodes host memory for what is suspended, and divides by
// service.
func swapping(t *rapid.T, h *laws.History) {
	for i := range h.Nodes {
		h.Nodes[i].HostMiB = rapid.SampledFrom([]int64{400_000, 82_000, 41_000}).Draw(t, "host memory")
	}
	if len(h.Pools) == 0 {
		h.Pools = []sched.Pool{{Name: sched.DefaultPool}}
	}
	h.Pools[0].Surplus = rapid.SampledFrom([]string{sched.ByService, sched.ByShare}).Draw(t, "surplus")
	for i := range h.Owners {
		h.Owners[i].Discipline = rapid.SampledFrom([]string{sched.Service, sched.FIFO, sched.Shortest}).Draw(t, "discipline")
	}
	for i := range h.Steps {
		w := &h.Steps[i].Work
		w.Swappable = !oneIn(t, 3, "not swappable")
		w.Expected = rapid.SampledFrom([]int64{0, 10_000, 100_000}).Draw(t, "expected")
	}
}

var nodes = rapid.Custom(func(t *rapid.T) sched.Node {
	n := sched.Node{
		Pool: rapid.SampledFrom([]string{sched.DefaultPool, sched.DefaultPool, sched.DefaultPool, "other"}).Draw(t, "pool"),
		Capacity: sched.Resources{
			CPU:    rapid.SampledFrom([]int64{16_000, 64_000, 4_000}).Draw(t, "cpu"),
			Memory: rapid.SampledFrom([]int64{256 * gib, 32 * gib}).Draw(t, "memory"),
			Pods:   rapid.SampledFrom([]int64{110, 110, 3}).Draw(t, "pods"),
		},
		Counted: oneIn(t, 4, "counted"),
	}
	if oneIn(t, 4, "rdma") {
		n.Capacity.Other = map[string]int64{"example.com/rdma": 2}
	}
	model := rapid.SampledFrom([]string{"H100", "A100"}).Draw(t, "model")
	memory := rapid.SampledFrom([]int64{81_559, 40_536}).Draw(t, "device memory")
	for i := range rapid.SampledFrom([]int{1, 2, 4, 0}).Draw(t, "devices") {
		n.Devices = append(n.Devices, sched.Device{
			Name: "gpu-" + string(rune('0'+i)), Model: model, MemoryMiB: memory, ComputeMilli: sched.WholeCompute,
		})
	}
	return n
})

// leaves are the owners that workloads name. The last is never known.
var leaves = []string{"vision", "speech", "robots", "vision", "speech", "robots", "vision", "nobody"}

// owners draws a tree: two departments with two and one projects, or one more
// level above, or leaves at the top.
func owners(t *rapid.T) []sched.Owner {
	parents := rapid.SampledFrom([]map[string]string{
		{"vision": "research", "speech": "research", "robots": "products"},
		{"vision": "", "speech": "", "robots": ""},
		{"vision": "research", "speech": "products", "robots": "products", "research": "company", "products": "company"},
	}).Draw(t, "tree")
	var out []sched.Owner
	for _, name := range []string{"company", "research", "products", "vision", "speech", "robots"} {
		_, inner := parents["vision"]
		if !inner {
			continue
		}
		o := sched.Owner{Name: name, Parent: parents[name], Pools: map[string]sched.OwnerPool{}}
		o.Pools[sched.DefaultPool] = bounds.Draw(t, name)
		if oneIn(t, 4, "other pool") {
			o.Pools["other"] = bounds.Draw(t, name+" in other")
			o.PoolOrder = []string{sched.DefaultPool, "other"}
		}
		out = append(out, o)
	}
	return out
}

var bounds = rapid.Custom(func(t *rapid.T) sched.OwnerPool {
	quota := rapid.SampledFrom([]int64{
		2 * sched.GPU, 0, sched.GPU, 4 * sched.GPU, sched.GPU / 2, sched.Unbounded,
	}).Draw(t, "quota")
	p := sched.OwnerPool{
		Quota:    sched.Amount{GPU: quota, CPU: sched.Unbounded, Memory: sched.Unbounded},
		Limit:    sched.NoLimit,
		Weight:   rapid.Int64Range(0, 3).Draw(t, "weight"),
		Priority: rapid.Int32Range(0, 1).Draw(t, "band"),
	}
	if oneIn(t, 5, "cpu quota") {
		p.Quota.CPU = 8_000
	}
	if oneIn(t, 4, "limited") {
		p.Limit.GPU = rapid.SampledFrom([]int64{4, 2, 1}).Draw(t, "limit") * sched.GPU
	}
	return p
})

var steps = rapid.Custom(func(t *rapid.T) laws.Step {
	s := laws.Step{
		Act: rapid.SampledFrom([]laws.Act{
			laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive, laws.Arrive,
			laws.Leave, laws.Leave, laws.EndPod, laws.EndWork, laws.EndWork, laws.Grow, laws.FailBind,
			laws.LoseNode, laws.NewNode, laws.Cordon, laws.Sicken, laws.Requota, laws.Disown, laws.Suspend,
			laws.Occupy, laws.Vacate, laws.Foresee, laws.Wait, laws.Settle, laws.Restart,
		}).Draw(t, "act"),
		Pick:  rapid.IntRange(0, 63).Draw(t, "pick"),
		Early: rapid.Bool().Draw(t, "early"),
	}
	switch s.Act {
	case laws.Arrive:
		s.Work, s.Pods = works(t)
	case laws.Foresee:
		s.Pods = rapid.SliceOfN(asks, 0, 4).Draw(t, "expected")
	case laws.Requota:
		s.Bounds = bounds.Draw(t, "bounds")
	case laws.Wait:
		s.Millis = rapid.SampledFrom([]int64{10_000, 700_000}).Draw(t, "millis")
	}
	return s
})

func works(t *rapid.T) (sched.Workload, []sched.Ask) {
	w := sched.Workload{
		Owner:       rapid.SampledFrom(leaves).Draw(t, "owner"),
		Kind:        sched.Train,
		Priority:    rapid.SampledFrom([]int32{50, 50, 100, 0}).Draw(t, "priority"),
		Preemptible: !oneIn(t, 3, "firm"),
		Moves:       rapid.IntRange(0, 2).Draw(t, "moves"),
	}
	if oneIn(t, 6, "min runtime") {
		w.MinRuntime = 5_000
	}
	if oneIn(t, 8, "pools") {
		w.Pools = []string{"other", sched.DefaultPool}
	}
	n := rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "pods")
	w.Min = rapid.IntRange(1, n).Draw(t, "min")
	ask := asks.Draw(t, "ask")
	pods := make([]sched.Ask, n)
	for i := range pods {
		pods[i] = ask
	}
	if n > 1 && oneIn(t, 4, "mixed") {
		for i := range pods[1:] {
			pods[i] = asks.Draw(t, "other ask")
		}
	}
	return w, pods
}

var asks = rapid.Custom(func(t *rapid.T) sched.Ask {
	a := rapid.SampledFrom([]sched.Ask{
		{Devices: 1},
		{Devices: 1},
		{Devices: 2},
		{Devices: 4},
		{Devices: 1, Part: sched.Part{Fraction: 500_000}},
		{Devices: 1, Part: sched.Part{Fraction: 333_333}},
		{Devices: 2, Part: sched.Part{Fraction: 500_000}},
		{Devices: 1, Part: sched.Part{MemoryMiB: 10_240}},
		{Devices: 1, Part: sched.Part{MemoryMiB: 30_001, LimitMemoryMiB: 40_000}},
		{Devices: 1, Part: sched.Part{Fraction: 250_000, MemoryMiB: 20_000}},
		{Devices: 1, Part: sched.Part{Fraction: 400_000, LimitFraction: 800_000}},
		{},
		{Resources: sched.Resources{Other: map[string]int64{"example.com/rdma": 1}}},
	}).Draw(t, "devices")
	a.CPU = rapid.SampledFrom([]int64{0, 1_000, 3_000}).Draw(t, "cpu")
	a.Memory = rapid.SampledFrom([]int64{0, gib, 20 * gib}).Draw(t, "memory")
	if oneIn(t, 8, "picky model") {
		a.Models = []string{"H100"}
	}
	if oneIn(t, 8, "picky node") {
		a.Fit = "only n1"
	}
	return a
})
