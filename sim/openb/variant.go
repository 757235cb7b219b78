package openb

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Variants are lists that are made from the default one when they are asked
// for: work of another kind on the same nodes, to see whether a rule was made
// for the lists at hand. They are drawn at random, but always the same.
//
//   - multi20, multi50: pods of several GPUs are drawn again, until they ask
//     for that much of all GPUs asked for, in per cent (7.3 in the default list).
//   - model10, model33: that many of all pods with GPUs, in per cent, may have
//     one model only, drawn by how many GPUs of it are on nodes large enough.
//   - cpu250: pods without GPUs come 2.5 times as often.
var Variants = []string{"multi20", "multi50", "model10", "model33", "cpu250"}

// variants makes a list from the default one.
var variants = map[string]func(pods []Pod, nodes []Node, r *rand.Rand) []Pod{
	"multi20": func(pods []Pod, _ []Node, r *rand.Rand) []Pod { return moreMulti(pods, 20, r) },
	"multi50": func(pods []Pod, _ []Node, r *rand.Rand) []Pod { return moreMulti(pods, 50, r) },
	"model10": func(pods []Pod, nodes []Node, r *rand.Rand) []Pod { return bound(pods, nodes, 10, r) },
	"model33": func(pods []Pod, nodes []Node, r *rand.Rand) []Pod { return bound(pods, nodes, 33, r) },
	"cpu250":  func(pods []Pod, _ []Node, _ *rand.Rand) []Pod { return moreCPU(pods) },
}

// variant returns one of [Variants].
func variant(name string) ([]Pod, error) {
	pods, err := Pods()
	if err != nil {
		return nil, err
	}
	nodes, err := Nodes()
	if err != nil {
		return nil, err
	}
	return variants[name](pods, nodes, rand.New(rand.NewPCG(1, 2))), nil
}

// again returns a pod as another one, by a name that no other has.
func again(p Pod, k int) Pod {
	p.Name = fmt.Sprintf("%s-again-%d", p.Name, k)
	return p
}

func moreMulti(pods []Pod, perCent int64, r *rand.Rand) []Pod {
	var multi []Pod
	all, several := int64(0), int64(0)
	for _, p := range pods {
		all += p.MicroGPU()
		if p.GPUs > 1 {
			multi, several = append(multi, p), several+p.MicroGPU()
		}
	}
	for k := 0; 100*several < perCent*all; k++ {
		p := again(multi[r.IntN(len(multi))], k)
		pods, all, several = append(pods, p), all+p.MicroGPU(), several+p.MicroGPU()
	}
	return pods
}

func bound(pods []Pod, nodes []Node, perCent int, r *rand.Rand) []Pod {
	var with []int // pods that have GPUs
	for i, p := range pods {
		if p.GPUs > 0 {
			with = append(with, i)
		}
	}
	r.Shuffle(len(with), func(i, j int) { with[i], with[j] = with[j], with[i] })
	pods = slices.Clone(pods)
	for _, i := range with[:len(with)*perCent/100] {
		pods[i].Models = []string{anyModel(nodes, pods[i].GPUs, r)}
	}
	return pods
}

// anyModel draws a model by the number of its GPUs on nodes with as many.
func anyModel(nodes []Node, gpus int64, r *rand.Rand) string {
	large := slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return n.GPUs < gpus })
	sum := int64(0)
	for _, n := range large {
		sum += n.GPUs
	}
	at := r.Int64N(sum)
	for _, n := range large {
		if at -= n.GPUs; at < 0 {
			return n.Model
		}
	}
	panic("a draw below the sum of all is beyond all")
}

func moreCPU(pods []Pod) []Pod {
	k := 0
	for _, p := range slices.Clone(pods) {
		if p.GPUs > 0 {
			continue
		}
		pods = append(pods, again(p, 2*k))
		if k++; k%2 == 0 {
			pods = append(pods, again(p, 2*k+1))
		}
	}
	return pods
}
