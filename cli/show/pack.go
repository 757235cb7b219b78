package show

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/weir-gpu/weir/cli/text"
)

// Pack is what became of a cluster that was filled with pods.
type Pack struct {
	Policy  string `json:"policy"`
	Seed    int64  `json:"seed"`
	Pods    int    `json:"pods"`    // that came
	Started int    `json:"started"` // that found a place
	// Allocation is the part of all GPUs that was given out, in per cent, by
	// how much had been asked for.
	Allocation        map[string]float64 `json:"allocation"`
	Moves             int                `json:"moves"`
	Decisions         int                `json:"decisions"`
	MicrosPerDecision map[string]float64 `json:"microsPerDecision"`
}

// Write prints a line a load.
func (r Pack) Write(w io.Writer, p text.Palette) error {
	t := text.NewTable("POLICY", ">ASKED FOR", ">GIVEN OUT", ">PODS", ">STARTED", ">MOVES", ">P50", ">P99")
	loads := slices.SortedFunc(maps.Keys(r.Allocation), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) // numbers
	})
	for _, load := range loads {
		t.Add(r.Policy, load+"%", perCent(r.Allocation[load]), strconv.Itoa(r.Pods), strconv.Itoa(r.Started),
			strconv.Itoa(r.Moves), micros(r.MicrosPerDecision["p50"]), micros(r.MicrosPerDecision["p99"]))
	}
	return t.Write(w, p)
}

func micros(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) + "µs" }

// Quantiles returns the quantiles of durations, in microseconds, by name.
func Quantiles(took []time.Duration, at ...float64) map[string]float64 {
	sorted := slices.Sorted(slices.Values(took))
	out := map[string]float64{}
	for _, q := range at {
		x := 0.0
		if len(sorted) > 0 {
			x = float64(sorted[int(q*float64(len(sorted)-1))].Nanoseconds()) / 1000
		}
		out["p"+strconv.Itoa(int(q*100))] = x
	}
	return out
}
