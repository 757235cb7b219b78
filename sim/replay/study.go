package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/weir-gpu/weir/sim/trace"
)

// Plans lists the plans that a study knows.
var Plans = []string{"static", "quota", "swap"}

// Study is one question put to a history: what would have become of the jobs
// under a plan?
type Study struct {
	Jobs []trace.Job // in order of submission
	// From is when the simulation begins; what was submitted before counts as
	// demand only. Zero: at the first job.
	From time.Time

	// Bursts, if set, is how many GPUs a tenant asks for at once that is added to
	// the history.
	Bursts int

	Plan     string
	GPUs     int64 // of the shared pool; 0: so many less than static as the plan is expected to save
	PerNode  int
	Topology bool
	// Quotas and Weights are those of a shared plan; both nil: as [Advise] finds
	// them.
	Quotas  map[string]int64
	Weights map[string]int64
	// Swap is how the plan swap suspends; nil: as DefaultSwap says.
	Swap *Swap
	// Surplus is how what nobody is guaranteed is divided; "": by service under
	// the plan swap, else by share, without taking it back to divide it anew.
	Surplus string
	// Discipline is the order among a tenant's jobs; "": as the plan has it.
	Discipline string

	Shrink bool // look for the smallest pool in which nobody is worse
	Costs  bool // say what each quota costs
	Options
	// Say, if set, is told what is being done.
	Say func(string)
}

// sizing is the quantile of demand, in per mille, to which a static plan is
// sized.
const sizing = 950

// savings is how many GPUs of a static plan one of a shared plan stands for,
// unless told otherwise: a numerator and a denominator.
var savings = map[string][2]int64{"quota": {7, 4}, "swap": {11, 5}}

// Report answers a study.
type Report struct {
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"` // the last submission
	PerNode  int       `json:"gpusPerNode"`
	Topology bool      `json:"topology"`
	Seed     uint64    `json:"seed"`
	Result
	Fairness Fairness `json:"finishTimeFairness"`
	// Static is the plan with which the result is compared.
	Static Baseline `json:"static"`
	// NoWorse reports that neither all jobs nor any tenant's wait longer than
	// under the static plan; Worse are the tenants that do.
	NoWorse bool     `json:"noWorse"`
	Worse   []string `json:"worse"`
	// Advised reports that the quotas were found, in so many Runs.
	Advised bool   `json:"advised"`
	Runs    int    `json:"runs"`
	Costs   []Cost `json:"costs,omitempty"`
}

// Baseline is what became of all jobs under the static plan.
type Baseline struct {
	GPUs        int64   `json:"gpus"`
	Utilisation float64 `json:"utilisation"`
	Wait        Spread  `json:"wait"`
	Completion  Spread  `json:"completion"`
}

// Answer plays the history, more than once if need be.
func (s Study) Answer(ctx context.Context) (*Report, error) {
	if s.Say == nil {
		s.Say = func(string) {}
	}
	if s.From.IsZero() && len(s.Jobs) > 0 {
		s.From = s.Jobs[0].Submit
	}
	if s.Bursts > 0 && len(s.Jobs) > 0 {
		s.Jobs = Bursts(slices.Clone(s.Jobs), s.From, s.Bursts, s.Failures.Seed)
	}
	jobs := s.Jobs[sort.Search(len(s.Jobs), func(i int) bool { return !s.Jobs[i].Submit.Before(s.From) }):]
	if len(jobs) == 0 {
		return nil, fmt.Errorf("no job was submitted from %s on: choose an earlier time", s.From.Format(time.RFC3339))
	}
	until := jobs[len(jobs)-1].Submit
	static := Static(Demands(s.Jobs, s.From, until), sizing, s.PerNode, s.Topology)
	s.Say(fmt.Sprintf("static plan, %d GPUs", static.GPUs))
	alone, err := Run(ctx, jobs, static, s.Options)
	if err != nil {
		return nil, err
	}
	r := &Report{
		From: s.From, Until: until, PerNode: s.PerNode, Topology: s.Topology, Seed: s.Failures.Seed, Result: *alone,
		Static: Baseline{static.GPUs, alone.Utilisation, alone.Wait, alone.Completion}, Runs: 1, Worse: []string{},
	}
	if s.Plan != static.Name {
		if err := s.share(ctx, r, jobs, static, alone); err != nil {
			return nil, err
		}
	}
	r.Fairness = r.Compare(alone)
	r.NoWorse = r.Result.NoWorse(alone)
	for name := range r.Result.Worse() {
		r.Worse = append(r.Worse, name)
	}
	slices.Sort(r.Worse)
	return r, nil
}

// share answers with a shared plan.
func (s Study) share(ctx context.Context, r *Report, jobs []trace.Job, static Plan, alone *Result) error {
	plan := Shared(static, s.pool(static))
	if plan.Name = s.Plan; s.Plan == "swap" {
		plan = plan.Swapping(cmp.Or(s.Swap, &DefaultSwap))
	}
	if s.Surplus != "" {
		plan = plan.Dividing(s.Surplus)
	}
	plan.Discipline = cmp.Or(s.Discipline, plan.Discipline)
	a, err := s.quotas(ctx, jobs, plan, alone)
	if err != nil {
		return err
	}
	r.Result, r.Advised = *a.Result, s.Quotas == nil && s.Weights == nil
	r.Runs += a.Runs
	if s.Costs {
		s.Say("what each quota costs")
		if r.Costs, err = a.Costs(ctx, jobs, s.Options); err != nil {
			return err
		}
		r.Runs += len(r.Costs)
	}
	return nil
}

// pool is how many GPUs to begin with.
func (s Study) pool(static Plan) int64 {
	switch {
	case s.GPUs > 0:
		return s.GPUs
	case s.Shrink:
		return static.GPUs
	}
	by := savings[s.Plan]
	return whole((static.GPUs*by[1]+by[0]-1)/by[0], s.PerNode)
}

func (s Study) quotas(ctx context.Context, jobs []trace.Job, plan Plan, alone *Result) (*Advice, error) {
	switch {
	case s.Shrink:
		s.Say("looking for the smallest pool")
		a, err := Shrink(ctx, jobs, plan, alone, s.Options)
		if err == nil && a == nil {
			err = fmt.Errorf("in a pool of %d GPUs somebody is worse off, whatever the quotas: allow more", plan.GPUs)
		}
		return a, err
	case s.Quotas == nil && s.Weights == nil:
		s.Say(fmt.Sprintf("looking for quotas in a pool of %d GPUs", plan.GPUs))
		return Advise(ctx, jobs, plan, alone, s.Options)
	}
	plan = plan.With(s.Quotas)
	for _, names := range []map[string]int64{s.Quotas, s.Weights} {
		for name := range names {
			if alone.tenant(name) == nil {
				return nil, fmt.Errorf("the trace has no tenant %q to give a quota or a weight", name)
			}
		}
	}
	for i, o := range plan.Owners {
		if weight, told := s.Weights[o.Name]; told {
			plan.Owners[i].Weight = weight
		}
	}
	r, err := Run(ctx, jobs, plan, s.Options)
	return &Advice{Plan: plan, Result: r, Runs: 1}, err
}
