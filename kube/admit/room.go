package admit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// tooLarge refuses a pod that the cluster could not hold if nothing else ran.
func (h *handler) tooLarge(f finding) error {
	room := h.cfg.Room()
	if room == (Room{}) {
		return nil
	}
	a := f.ask
	if a.Devices > room.OnOneNode {
		return fmt.Errorf("the pod asks for %s and the largest node has %d; ask for at most %d GPUs a pod",
			gpus(a.Devices), room.OnOneNode, room.OnOneNode)
	}
	if room.OnePod > 0 && a.Devices > room.OnePod {
		return fmt.Errorf("the pod asks for %s and no node can give more than %d to one pod: a claim, which pods have on "+
			"nodes without a device plugin, holds at most %d devices; ask for at most %d GPUs a pod, and for more pods",
			gpus(a.Devices), room.OnePod, ask.MaxDevices, room.OnePod)
	}
	if room.MemoryMiB > 0 && a.Part.MemoryMiB > room.MemoryMiB {
		return fmt.Errorf("the share's memory of %dMi is more than any GPU has; ask for at most %s \"%dMi\"",
			a.Part.MemoryMiB, ask.GPUMemory, room.MemoryMiB)
	}
	return nil
}

func gpus(n int) string {
	if n == 1 {
		return "1 GPU"
	}
	return fmt.Sprintf("%d GPUs", n)
}

// gangTooLarge refuses a gang of at least low pods that has more GPUs than the
// cluster. It counts the cheapest pods of the crews and as little for each as
// the largest GPUs allow: what it refuses can never run.
func (h *handler) gangTooLarge(crews []crew, low int) error {
	room := h.cfg.Room()
	if room == (Room{}) {
		return nil
	}
	need, pods := cheapest(crews, low, room)
	have := int64(room.Devices) * sched.GPU
	if need <= have {
		return nil
	}
	valid := "ask for less"
	if fit := fitting(crews, pods, have, room); fit > 0 {
		valid = fmt.Sprintf("ask for at most %d such pods, or set %s to at most that", fit, ask.MinPods)
	}
	return fmt.Errorf("%d pods that start together need %s GPUs and the cluster has %d; %s",
		pods, decimal(need), room.Devices, valid)
}

// cheapest returns the micro-GPUs that the low cheapest pods need at least.
func cheapest(crews []crew, low int, room Room) (need int64, pods int) {
	for _, c := range byCost(crews, room) {
		n := min(c.pods, low-pods)
		need += int64(n) * c.cost
		pods += n
	}
	return need, pods
}

// fitting returns how many of the cheapest pods fit into have.
func fitting(crews []crew, low int, have int64, room Room) int {
	fit := 0
	for _, c := range byCost(crews, room) {
		n := min(c.pods, low-fit)
		if c.cost > 0 {
			n = int(min(int64(n), have/c.cost))
		}
		fit += n
		have -= int64(n) * c.cost
	}
	return fit
}

// decimal writes micro-GPUs in GPUs.
func decimal(micro int64) string {
	s := fmt.Sprintf("%d.%06d", micro/sched.GPU, micro%sched.GPU)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// priced is a crew with the least that each pod of it costs, in micro-GPUs.
type priced struct {
	crew
	cost int64
}

func byCost(crews []crew, room Room) []priced {
	all := make([]priced, len(crews))
	for i, c := range crews {
		all[i] = priced{c, cost(c.ask, room)}
	}
	slices.SortStableFunc(all, func(a, b priced) int { return cmp.Compare(a.cost, b.cost) })
	return all
}

// cost is what a pod takes at least: for memory, the part it is of the largest
// GPU.
func cost(a sched.Ask, room Room) int64 {
	each := a.Part.Fraction
	switch {
	case a.Part.IsWhole():
		each = sched.GPU
	case a.Part.MemoryMiB > 0 && room.MemoryMiB > 0:
		each = max(each, a.Part.MemoryMiB*sched.GPU/room.MemoryMiB)
	}
	return int64(a.Devices) * each
}
