package pack

import (
	"cmp"
	"fmt"
	"math/rand"
	"slices"

	"github.com/weir-gpu/weir/sim/openb"
)

// Inflation is how much work is offered, as a part of all GPUs, in per cent.
const Inflation = 130

// Case is a cluster and the pods that come to it, in order.
type Case struct {
	Nodes []openb.Node // in the order in which ties are broken
	Pods  []openb.Pod
	Trace []openb.Pod // the pods that Pods were drawn from, by name
	Milli int64       // compute of all GPUs
}

// Draw makes the case of a seed, by the published protocol: pods are shuffled,
// then removed at random while they ask for more than [Inflation] per cent of
// all GPUs, or else drawn again at random until they ask for as much; and nodes
// get random ranks. The draws are those of math/rand, in their order, since
// published figures depend on them.
func Draw(nodes []openb.Node, pods []openb.Pod, seed int64) (*Case, error) {
	c := &Case{Trace: slices.Clone(pods)}
	slices.SortFunc(c.Trace, func(a, b openb.Pod) int { return cmp.Compare(a.Name, b.Name) })
	for _, n := range nodes {
		c.Milli += n.GPUs * 1000
	}
	r := rand.New(rand.NewSource(seed))
	r.Int() // the protocol draws one for itself
	c.Pods = slices.Clone(c.Trace)
	r.Shuffle(len(c.Pods), func(i, j int) { c.Pods[i], c.Pods[j] = c.Pods[j], c.Pods[i] })
	if err := c.inflate(r); err != nil {
		return nil, err
	}
	for range 10 {
		r.Int63() // and ten more
	}
	byName := slices.Clone(nodes)
	slices.SortFunc(byName, func(a, b openb.Node) int { return cmp.Compare(a.Name, b.Name) })
	c.Nodes = make([]openb.Node, len(byName))
	for i, rank := range r.Perm(len(byName)) {
		c.Nodes[rank] = byName[i]
	}
	return c, nil
}

func (c *Case) inflate(r *rand.Rand) error {
	target := c.Milli * Inflation / 100
	sum, largest := int64(0), int64(0)
	for _, p := range c.Pods {
		sum += milli(p)
		largest = max(largest, milli(p))
	}
	if largest == 0 || c.Milli == 0 {
		return fmt.Errorf("%d pods for %d nodes: give nodes with GPUs, and pods that ask for some", len(c.Pods), len(c.Nodes))
	}
	for sum > target {
		i := r.Intn(len(c.Pods))
		sum -= milli(c.Pods[i])
		c.Pods = slices.Delete(c.Pods, i, i+1)
	}
	if len(c.Pods) < len(c.Trace) {
		return nil
	}
	for k := 0; ; k++ {
		p := c.Trace[r.Intn(len(c.Trace))]
		if sum+p.GPUMilli > target { // of one GPU: the published code looks at no more
			return nil
		}
		sum += milli(p)
		p.Name = fmt.Sprintf("%s-tuned-%d", p.Name, k)
		c.Pods = append(c.Pods, p)
	}
}

// milli is the compute that a pod asks for.
func milli(p openb.Pod) int64 { return p.GPUs * p.GPUMilli }
