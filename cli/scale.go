package cli

import (
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/sim/pack"
	"github.com/weir-gpu/weir/sim/scale"
)

// scaleFlags is what `weir simulate scale` was asked for.
type scaleFlags struct {
	nodes   []int
	uniform bool
	jobs    int
	load    int
	owners  int
	policy  string
	seed    uint64
	out     output
}

func (s *session) simulateScale() *cobra.Command {
	o := &scaleFlags{}
	c := &cobra.Command{
		Use:   "scale [--nodes N,N,…] [--jobs N]",
		Short: "Measure what a decision costs as clusters grow",
		Long: `Let jobs like those of the openb trace come and go in clusters of several sizes, kept
nearly full and shared by owners with quotas, and measure the engine: what an arrival or
an end costs, and how that grows with the number of nodes. See docs/reference/scale.md.`,
		Example: "weir simulate scale\n" +
			"weir simulate scale --nodes 10000 --jobs 1000000 -o json",
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return s.runScale(o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.IntSliceVar(&o.nodes, "nodes", []int{1250, 2500, 5000, 10000}, "sizes of clusters, in nodes")
	f.BoolVar(&o.uniform, "uniform", false, "nodes of eight GPUs each (default: those of the openb trace, again and again)")
	f.IntVar(&o.jobs, "jobs", 200_000, "jobs that come to each")
	f.IntVar(&o.load, "load", 90, "how much of all GPUs is kept in use, in per cent")
	f.IntVar(&o.owners, "owners", 20, "owners that share the cluster, with equal quotas")
	f.StringVar(&o.policy, "policy", "weir", "placement policy, one of those of weir simulate pack")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the jobs")
	o.out.addTo(c, "table", "json", "yaml")
	return c
}

func (o *scaleFlags) check() error {
	const mostNodes, mostJobs, mostOwners = 100_000, 100_000_000, 10_000
	switch {
	case pack.Policies[o.policy] == "":
		return refused("there is no policy %q: see weir simulate pack --help", o.policy)
	case len(o.nodes) == 0:
		return refused("--nodes names no size: write numbers of nodes, such as 1250,10000")
	case o.jobs < 1 || o.jobs > mostJobs:
		return refused("--jobs %d is not a number of jobs: write 1 to %d", o.jobs, mostJobs)
	case o.load < 1 || o.load > 95:
		return refused("--load %d is not a load that can be kept: write 1 to 95, in per cent of all GPUs", o.load)
	case o.owners < 1 || o.owners > mostOwners:
		return refused("--owners %d is not a number of owners: write 1 to %d", o.owners, mostOwners)
	}
	for _, n := range o.nodes {
		if n < 1 || n > mostNodes {
			return refused("--nodes %d is not a size: write 1 to %d", n, mostNodes)
		}
	}
	return nil
}

func (s *session) runScale(o *scaleFlags) error {
	var report show.Scale
	for _, n := range o.nodes {
		r, err := scale.Run(scale.Options{
			Nodes: n, Uniform: o.uniform, Jobs: o.jobs, Load: o.load, Owners: o.owners, Rule: pack.Policies[o.policy],
			Seed: o.seed, Now: s.now,
			Progress: s.progress(func(done, all int) string {
				return fmt.Sprintf("%d nodes: %d of %d jobs", n, done, all)
			}),
		})
		if err != nil {
			return err
		}
		report.Runs = append(report.Runs, r)
	}
	if len(o.nodes) > 1 {
		report.Slope = &show.Slope{
			P50:  round2(scale.Slope(report.Runs, func(r *scale.Result) float64 { return r.P50 })),
			Mean: round2(scale.Slope(report.Runs, func(r *scale.Result) float64 { return r.Mean })),
		}
	}
	if o.out.data() {
		return s.print(o.out, report)
	}
	return report.Write(s.out, s.palette(s.out))
}

func round2(x float64) float64 { return math.Round(x*100) / 100 }
