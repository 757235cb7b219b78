package cli

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/sim/openb"
	"github.com/weir-gpu/weir/sim/pack"
)

// packFlags is what `weir simulate pack` was asked for.
type packFlags struct {
	nodes, pods string
	policy      string
	seed        int64
	loads       []int
	learn       bool
	moves       bool
	out         output
}

func (s *session) simulatePack() *cobra.Command {
	o := &packFlags{}
	names := slices.Sorted(maps.Keys(pack.Policies))
	c := &cobra.Command{
		Use:   "pack --nodes CSV --pods CSV --policy " + strings.Join(names, "|"),
		Short: "Fill a cluster with pods until nothing fits: how much of its GPUs is given out",
		Long: `Offer pods in random order to an empty cluster, one at a time; what fits nowhere is
dropped, nothing ends. More and more is asked for, up to 130% of all GPUs: how much of
them is given out? This is the protocol of "Beware of Fragmentation" (USENIX ATC'23),
and fgd, bestfit and dotprod are the policies compared there.

Policies know what pods are like in general, as there; --learn lets them find out from
the pods that run. Lists are CSV files of the form of the openb trace, which is what is
taken without --nodes and --pods. See docs/reference/pack.md.`,
		Example: "weir simulate pack --policy weir\n" +
			"weir simulate pack --policy fgd --seed 43 -o json\n" +
			"weir simulate pack --nodes nodes.csv --pods pods.csv --policy weir --learn",
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if pack.Policies[o.policy] == "" {
				return refused("there is no policy %q: write --policy %s", o.policy, strings.Join(names, " or --policy "))
			}
			for _, x := range o.loads {
				if x < 0 || x > pack.Inflation {
					return refused("--at %d is not a load that comes: write 0 to %d, in per cent of all GPUs", x, pack.Inflation)
				}
			}
			return s.runPack(o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.nodes, "nodes", "", "CSV file of nodes: sn,cpu_milli,memory_mib,gpu,model (default those of openb)")
	f.StringVar(&o.pods, "pods", "", "CSV file of pods, or a list of openb: "+
		strings.Join(slices.Concat(openb.Lists, openb.Variants), ", ")+" (default "+openb.Lists[0]+")")
	f.StringVar(&o.policy, "policy", "weir", "policy: "+strings.Join(names, ", "))
	f.Int64Var(&o.seed, "seed", 42, "seed of the order of pods and nodes; the published figures are means of 42 to 51")
	f.IntSliceVar(&o.loads, "at", []int{95, 100, 130}, "loads at which to report, in per cent of all GPUs asked for")
	f.BoolVar(&o.learn, "learn", false, "let the policy find out from the pods that run what pods are like")
	f.BoolVar(&o.moves, "moves", false, "let running pods be moved to make room, each up to "+strconv.Itoa(pack.MovesEach)+" times")
	o.out.addTo(c, "table", "json", "yaml")
	return c
}

// runPack plays the case and prints what became of it.
func (s *session) runPack(o *packFlags) error {
	nodes, err := rows(o.nodes, openb.Nodes, openb.ReadNodes)
	if err != nil {
		return err
	}
	list := func() ([]openb.Pod, error) { return openb.PodList(cmp.Or(o.pods, openb.Lists[0])) }
	file := o.pods
	if slices.Contains(slices.Concat(openb.Lists, openb.Variants), file) {
		file = ""
	}
	pods, err := rows(file, list, openb.ReadPods)
	if err != nil {
		return err
	}
	c, err := pack.Draw(nodes, pods, o.seed)
	if err != nil {
		return coded{exitUsage, err}
	}
	opt := pack.Options{Rule: pack.Policies[o.policy], Learn: o.learn, Now: s.now}
	if o.moves {
		opt.MovesEach = pack.MovesEach
	}
	opt.Progress = s.progress(func(done, all int) string { return fmt.Sprintf("%d of %d pods", done, all) })
	r, err := c.Run(opt)
	if err != nil {
		return err
	}
	report := show.Pack{
		Policy: o.policy, Seed: o.seed, Pods: r.Arrived, Started: r.Started, Moves: r.Moves, Decisions: len(r.Took),
		Allocation: map[string]float64{}, MicrosPerDecision: show.Quantiles(r.Took, 0.5, 0.99),
	}
	for _, load := range o.loads {
		if x, ok := r.Allocation[load]; ok {
			report.Allocation[strconv.Itoa(load)] = math.Round(x*1000) / 1000
		}
	}
	if o.out.data() {
		return s.print(o.out, report)
	}
	return report.Write(s.out, s.palette(s.out))
}

// rows reads a list, or takes the one that comes with weir.
func rows[T any](file string, own func() ([]T, error), read func(string, io.Reader) iter.Seq2[T, error]) ([]T, error) {
	if file == "" {
		return own()
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, traceError(err)
	}
	defer f.Close()
	out, err := openb.Collect(read(file, f))
	if err != nil {
		return nil, coded{exitUsage, err}
	}
	return out, nil
}
