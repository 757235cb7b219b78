package show

import (
	"fmt"
	"io"
	"strconv"

	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/sim/scale"
)

// Scale is what decisions cost in clusters of several sizes.
type Scale struct {
	Runs  []*scale.Result `json:"runs"`
	Slope *Slope          `json:"slope,omitempty"` // with several sizes
}

// Slope is how cost grows with nodes: 1 is in proportion, 0 not at all.
type Slope struct {
	P50  float64 `json:"p50"`
	Mean float64 `json:"mean"`
}

// Write prints a line a cluster.
func (r Scale) Write(w io.Writer, p text.Palette) error {
	t := text.NewTable(">NODES", ">GPUS", ">JOBS", ">DECISIONS", ">P50", ">P99", ">MEAN", ">ENGINE", ">MEMORY", ">EVICTED", ">WAITING")
	for _, x := range r.Runs {
		t.Add(strconv.Itoa(x.Nodes), strconv.FormatInt(x.GPUs, 10), strconv.Itoa(x.Jobs), strconv.Itoa(x.Decisions),
			micros(x.P50), micros(x.P99), micros(x.Mean), seconds(x.Seconds), strconv.FormatInt(x.ResidentMiB, 10)+"MiB",
			strconv.Itoa(x.Evicted), strconv.Itoa(x.Waiting))
	}
	if err := t.Write(w, p); err != nil || r.Slope == nil {
		return err
	}
	return line(w, fmt.Sprintf("\nSlope of cost over nodes, both in logarithms: p50 %.2f, mean %.2f.", r.Slope.P50, r.Slope.Mean))
}
