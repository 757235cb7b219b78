package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/replay"
	"github.com/weir-gpu/weir/sim/trace"
)

// surpluses are the ways to divide surplus anew that plans know.
var surpluses = map[string][]string{"quota": {sched.ByShare}, "swap": {sched.ByShare, sched.ByService}}

// disciplines are the orders among a tenant's jobs.
var disciplines = []string{sched.FIFO, sched.Shortest, sched.Service}

// replayFlags is what `weir simulate replay` was asked for.
type replayFlags struct {
	traces  []string
	columns map[string]string
	from    string
	quotas  map[string]int64
	weights map[string]int64
	swap    replay.Swap
	every   time.Duration
	repair  time.Duration
	advise  bool
	study   replay.Study
	out     output
}

func (s *session) simulateReplay() *cobra.Command {
	o := &replayFlags{swap: replay.DefaultSwap}
	c := &cobra.Command{
		Use:   "replay --trace FILE... --plan " + strings.Join(replay.Plans, "|"),
		Short: "Replay a trace of jobs under a plan: who would have waited how long",
		Long: `Replay a history of jobs (who submitted when, how long each ran, on how many GPUs)
on a simulated cluster, and say how long jobs would have waited under a plan:

  static  each tenant has GPUs of its own, enough for its demand 95% of the time
  quota   all share one pool; quotas are guaranteed, what is idle is lent, and
          taken back by stopping work, which starts anew
  swap    as quota, but work is suspended with its state in host memory and goes
          on later; what nobody is guaranteed goes to who was served least

Quotas and weights are those of --quota and --weight; without any, they are found in
the history itself: so that nobody waits longer than under the static plan. See docs/reference/replay.md,
and docs/how-to/replay-your-own-history.md for how to get a trace.`,
		Example: "weir simulate replay --trace philly --plan static\n" +
			"weir simulate replay --trace philly --plan quota --gpus 704\n" +
			"weir simulate replay --trace jobs.csv --advise\n" +
			"weir simulate replay --trace a.csv --trace b.csv --columns submit=created,gpus=n --plan quota --quota a=16,b=8",
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd.Flags().Changed); err != nil {
				return err
			}
			return s.runReplay(cmd, o)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringArrayVar(&o.traces, "trace", []string{"philly"},
		"CSV file of jobs, also .gz or .zst (repeatable); philly is the trace that comes with weir")
	f.StringToStringVar(&o.columns, "columns", nil, "which column is what, such as submit=created,gpus=n; of "+fieldNames())
	f.StringVar(&o.from, "from", "", "simulate from then on, such as 2017-10-09; what came before counts as demand")
	f.StringVar(&o.study.Plan, "plan", "quota", "plan: "+strings.Join(replay.Plans, ", "))
	f.Int64Var(&o.study.GPUs, "gpus", 0, "GPUs of the shared pool (default those of static divided by 1.75, for swap by 2.2)")
	f.IntVar(&o.study.PerNode, "gpus-per-node", 8, "GPUs of a node")
	f.BoolVar(&o.study.Topology, "topology", false,
		"a job has to fit on one node, or fill as few as it needs (default: it takes any free GPUs)")
	f.StringToInt64Var(&o.quotas, "quota", nil, "quotas in GPUs, such as vision=16,nlp=8; who is not named has none")
	f.StringVar(&o.study.Surplus, "surplus", "",
		"how what nobody is guaranteed is divided, and taken back: share, by how much each has; service, by how little "+
			"each job was served (default with --plan swap service; with quota it is not taken back to divide it anew)")
	f.StringVar(&o.study.Discipline, "discipline", "",
		"order among a tenant's jobs: fifo, shortest (as learned from the jobs that ended before) or service "+
			"(default fifo, with --plan swap service)")
	f.StringToInt64Var(&o.weights, "weight", nil,
		"part of the surplus, or how much service is much, where it is taken back, such as nlp=4; unsaid 1")
	f.DurationVar(&o.swap.Cost, "swap-cost", o.swap.Cost,
		"for how long a job's GPUs do nothing when it is suspended, and when it resumes")
	f.Int64Var(&o.swap.States, "swap-states", o.swap.States,
		"GPUs' memory that the host memory of a node has room for, for each of its GPUs")
	f.DurationVar(&o.swap.Residency, "residency", o.swap.Residency, "how long what started or resumed is left alone")
	f.BoolVar(&o.study.Shrink, "shrink", false, "look for the smallest pool in which nobody is worse off than under static")
	f.BoolVar(&o.advise, "advise", false, "propose quotas, in the smallest pool or that of --gpus, and say what each costs")
	f.IntVar(&o.study.Bursts, "bursty", 0, "add a tenant that asks for so many GPUs at once, now and then")
	f.DurationVar(&o.every, "node-mtbf", 0, "let each node fail at random, once in so long on average (default never)")
	f.DurationVar(&o.repair, "node-repair", 4*time.Hour, "how long a failed node is away")
	f.Uint64Var(&o.study.Failures.Seed, "seed", 42, "seed of everything that is random")
	o.out.addTo(c, "table", "json", "yaml")
	return c
}

func fieldNames() string {
	var names []string
	for _, f := range trace.Fields {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// check refuses what does not go together.
func (o *replayFlags) check(changed func(string) bool) error {
	st := &o.study
	if o.advise && changed("plan") && st.Plan == "static" {
		return refused("--advise does not go with --plan static: choose a plan that shares, such as --plan quota")
	}
	const most = 1 << 20
	switch {
	case !slices.Contains(replay.Plans, st.Plan):
		return refused("there is no plan %q: write --plan %s", st.Plan, strings.Join(replay.Plans, " or --plan "))
	case st.Plan == "static" && (changed("gpus") || changed("quota") || st.Shrink):
		return refused("--gpus, --quota and --shrink do not go with --plan static, which gives each tenant its own GPUs")
	case changed("gpus") && (st.GPUs < 1 || st.GPUs > most):
		return refused("--gpus %d is not a number of GPUs: write 1 to %d", st.GPUs, most)
	case st.PerNode < 1 || st.PerNode > 64:
		return refused("--gpus-per-node %d is not what a node can have: write 1 to 64", st.PerNode)
	case st.Plan != "swap" && slices.ContainsFunc([]string{"swap-cost", "swap-states", "residency"}, changed):
		return refused("--swap-cost, --swap-states and --residency go with --plan swap only: leave them out")
	case st.Plan == "static" && changed("surplus"):
		return refused("--surplus does not go with --plan static, under which nothing is lent: leave it out")
	case changed("surplus") && !slices.Contains(surpluses[st.Plan], st.Surplus):
		return refused("--surplus %q is not what --plan %s knows: write %s", st.Surplus, st.Plan,
			strings.Join(surpluses[st.Plan], " or "))
	case st.Plan == "static" && changed("discipline"):
		return refused("--discipline does not go with --plan static, under which whatever fits starts: leave it out")
	case changed("discipline") && !slices.Contains(disciplines, st.Discipline):
		return refused("--discipline %q is no order of jobs: write %s", st.Discipline, strings.Join(disciplines, " or "))
	case changed("weight") && st.Plan != "swap" && st.Surplus == "":
		return refused("--weight divides surplus that is taken back: add --surplus share, or choose --plan swap")
	case o.swap.Cost < 0 || o.swap.Residency < o.swap.Cost || o.swap.States < 0:
		return refused("--swap-cost %s, --residency %s and --swap-states %d: write none below 0, and no residency below the cost",
			o.swap.Cost, o.swap.Residency, o.swap.States)
	case (changed("quota") || changed("weight")) && (st.Shrink || o.advise):
		return refused("--quota and --weight do not go with --shrink and --advise, which find them themselves: leave one out")
	case st.Bursts < 0 || st.Bursts > most:
		return refused("--bursty %d is not a number of GPUs: write 0 to %d", st.Bursts, most)
	case o.every < 0 || o.repair <= 0:
		return refused("--node-mtbf %s and --node-repair %s have to be longer than nothing", o.every, o.repair)
	}
	for name, gpus := range o.quotas {
		if gpus < 0 || gpus > most {
			return refused("--quota %s=%d is not a number of GPUs: write 0 to %d", name, gpus, most)
		}
	}
	for name, weight := range o.weights {
		if weight < 1 || weight > most {
			return refused("--weight %s=%d is not a weight: write 1 to %d", name, weight, most)
		}
	}
	if changed("quota") {
		st.Quotas = o.quotas
	}
	if changed("weight") {
		st.Weights = o.weights
	}
	st.Swap = &o.swap
	st.Failures.Every, st.Failures.Repair = o.every, o.repair
	st.Costs, st.Shrink = o.advise, st.Shrink || o.advise && !changed("gpus")
	return nil
}

// runReplay reads the trace, answers the question and prints the answer.
func (s *session) runReplay(cmd *cobra.Command, o *replayFlags) error {
	if err := s.readTrace(o); err != nil {
		return err
	}
	doing := ""
	o.study.Say = func(what string) {
		doing = what
		s.note("%s …", what)
	}
	o.study.Engine = sched.Config{}
	o.study.Progress = s.progress(func(ended, all int) string {
		return fmt.Sprintf("%s: %d of %d jobs", doing, ended, all)
	})
	r, err := o.study.Answer(cmd.Context())
	if err != nil {
		return err
	}
	if o.out.data() {
		return s.print(o.out, r)
	}
	return show.Replay{Report: r}.Write(s.out, s.palette(s.out))
}

// readTrace reads the jobs, and sets from when on they are simulated.
func (s *session) readTrace(o *replayFlags) (err error) {
	st := &o.study
	if len(o.traces) == 1 && o.traces[0] == "philly" {
		st.Jobs, err = trace.Philly()
	} else {
		var columns trace.Columns
		if columns, err = mapping(o.columns); err != nil {
			return err
		}
		st.Jobs, err = trace.Open(o.traces, columns)
	}
	switch {
	case err != nil:
		return traceError(err)
	case len(st.Jobs) == 0:
		return refused("%s has no jobs", filepath.Base(o.traces[0]))
	case o.from != "":
		if st.From, err = trace.Time(o.from); err != nil {
			return refused("--from %q is not a time: %s", o.from, err)
		}
	case trace.IsPhilly(st.Jobs):
		st.From = trace.PhillyFrom
		s.note("this is the Philly trace: simulated from %s on, since what came before was logged in part only",
			st.From.Format(time.DateOnly))
	}
	return nil
}

func mapping(flags map[string]string) (trace.Columns, error) {
	columns := trace.Columns{}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		f := trace.Field(name)
		if !slices.Contains(trace.Fields, f) {
			return nil, refused("--columns: there is no field %s; write one of %s", strconv.Quote(name), fieldNames())
		}
		columns[f] = flags[name]
	}
	return columns, nil
}

// traceError is for what is wrong with a trace, or that it is not there.
func traceError(err error) error {
	if missing := new(fs.PathError); errors.As(err, &missing) && errors.Is(err, fs.ErrNotExist) {
		return notFound("there is no file %s", missing.Path)
	}
	return coded{exitUsage, err}
}
