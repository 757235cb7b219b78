package snapshot

import (
	"encoding/json"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/sched"
)

// GPUs is an amount of GPUs in millionths. Its JSON is the decimal number.
type GPUs int64

// MarshalJSON prints the decimal number.
func (g GPUs) MarshalJSON() ([]byte, error) { return []byte(quantity.GPUs(int64(g))), nil }

// Amount is a [sched.Amount] with a JSON of its own: GPUs and CPUs as decimal
// numbers, memory in bytes. What is not counted or not limited is left out.
type Amount sched.Amount

// MarshalJSON prints what is counted.
func (a Amount) MarshalJSON() ([]byte, error) {
	m := map[string]json.Number{}
	if a.GPU != sched.Unbounded {
		m["gpus"] = json.Number(quantity.GPUs(a.GPU))
	}
	if a.CPU != sched.Unbounded {
		m["cpus"] = json.Number(quantity.CPUs(a.CPU))
	}
	if a.Memory != sched.Unbounded {
		m["memoryBytes"] = json.Number(quantity.Amount(a.Memory, ""))
	}
	return json.Marshal(m)
}

// Share is a [sched.Share] with a JSON of its own.
type Share struct {
	Device            string `json:"device"`
	MemoryMiB         int64  `json:"memoryMiB"`
	ComputeMilli      int64  `json:"computeMilli"`
	LimitMemoryMiB    int64  `json:"limitMemoryMiB,omitempty"`
	LimitComputeMilli int64  `json:"limitComputeMilli,omitempty"`
}

func sharesOf(list []sched.Share) []Share {
	var shares []Share
	for _, s := range list {
		shares = append(shares, Share(s))
	}
	return shares
}
