package board

import (
	"fmt"

	"github.com/weir-gpu/weir/sim/scale"
)

func growth(p *page) {
	var rows [][]string
	for _, s := range Scenarios() {
		runs := p.results[s.Name()].Scale
		for i, r := range runs {
			slope, command := "", ""
			if last := i == len(runs)-1; last && i > 0 {
				slope = two(scale.Slope(runs, func(r *scale.Result) float64 { return r.Mean }))
			}
			if i == 0 {
				command = "`" + s.Command() + "`"
			}
			rows = append(rows, []string{
				s.Scale.kind(), fmt.Sprint(r.Nodes), fmt.Sprint(r.GPUs), fmt.Sprint(r.Jobs), fmt.Sprintf("%.1f", r.P50),
				fmt.Sprintf("%.1f", r.P99), fmt.Sprintf("%.1f", r.Mean), slope, fmt.Sprintf("%.1f", r.Seconds), command,
			})
		}
	}
	if len(rows) == 0 {
		return
	}
	p.write("## What a decision costs")
	p.write(`Jobs of the openb trace come and go in clusters that are kept 90% full and shared by 20 owners, with the full policy on
([how](reference/scale.md)). Times are of one core of the machine that wrote this page, with whatever else it had to do:
these are the only figures here that depend on it. The slope is that of log mean cost over log nodes. Known of others, in
µs: 150,000 to 220,000 for the published simulator of FGD at 1,213 nodes.`)
	p.table([]string{"nodes like", "nodes", "GPUs", "jobs", "p50, µs", "p99, µs", "mean, µs", "slope", "engine, s",
		" command"}, rows)
}
