package laws

import (
	"fmt"

	"github.com/weir-gpu/weir/sched"
)

// Engine is what the laws see of a decision engine: *sched.Engine, or one of
// the erring ones that the tests plant.
type Engine interface {
	Apply(ev sched.Event) error
	Decide(now sched.Time) []sched.Decision
	More() bool
	Wake() sched.Time
	Promises() []sched.Promise
	Waiting() []string
	Explain(id string) (sched.Explanation, bool)
	Usage() []sched.Use
	Fork() *sched.Engine
}

// Round is one answer of Decide, with the ledger before and after it.
type Round struct {
	Before    *Ledger
	Decisions []sched.Decision
	After     *Ledger
	// Harmed holds the workloads that lost pods by no decision (a pod ended, a
	// node vanished, a bind failed, an owner raised the minimum).
	Harmed map[string]bool
}

// each calls f with every decision and the ledger as it was right before it.
func (r Round) each(f func(l *Ledger, d sched.Decision) error) error {
	if len(r.Decisions) == 0 {
		return nil
	}
	l := r.Before.Clone()
	for _, d := range r.Decisions {
		if err := f(l, d); err != nil {
			return err
		}
		l.Do(d)
	}
	return nil
}

// Rest is a moment at which nothing is on its way: no pod leaves, the engine
// has nothing more to plan.
type Rest struct {
	Ledger *Ledger
	Engine Engine
	// Fresh builds an engine from the ledger's objects alone, as after a restart.
	Fresh func(*Ledger) (Engine, error)
}

// Law is one thing that always holds. One of its checks is set: Round laws are
// asked after every Decide, Rest laws whenever things have come to rest.
type Law struct {
	Name  string
	Round func(Round) error
	Rest  func(Rest) error
}

// Laws are all the laws that a round or a rest can break by itself. The laws
// of sameness and of coming to rest are kept by the [World], which needs
// several engines or several rounds to see them: [Same], [SameAfterRestart],
// [Settles], [Accepts] and [Answers].
var Laws = []Law{
	{Name: NeverOverGranted, Round: neverOverGranted},
	{Name: GrantedAsAsked, Round: grantedAsAsked},
	{Name: OnlyWhereAllowed, Round: onlyWhereAllowed},
	{Name: GangsWhole, Round: gangsWhole},
	{Name: GuaranteedInQuota, Round: guaranteedInQuota},
	{Name: WithinLimits, Round: withinLimits},
	{Name: TakesOnlyTheTakeable, Round: takesOnlyTheTakeable},
	{Name: ReclaimsFromBorrowers, Round: reclaimsFromBorrowers},
	{Name: SparesTheFresh, Round: sparesTheFresh},
	{Name: TakesOnlyWhatIsNeeded, Round: takesOnlyWhatIsNeeded},
	{Name: PreemptsWithinOwner, Round: preemptsWithinOwner},
	{Name: MovesWithinBudget, Round: movesWithinBudget},
	{Name: KeepsState, Round: keepsState},
	{Name: WorkConserving, Rest: workConserving},
	{Name: QuotaComesBack, Rest: quotaComesBack},
	{Name: ExplainsAll, Rest: explainsAll},
	{Name: ExplainsTruly, Rest: explainsTruly},
	{Name: OffersHold, Rest: offersHold},
	{Name: CountsUse, Rest: countsUse},
}

// The names of the laws.
const (
	NeverOverGranted      = "no device and no node is ever granted beyond what it has"
	GrantedAsAsked        = "a grant is exactly what was asked for, on devices of its own choice"
	OnlyWhereAllowed      = "nothing starts on what is unhealthy, unschedulable, unfit or of another pool"
	GangsWhole            = "a gang starts whole or not at all, and is never left under its minimum"
	GuaranteedInQuota     = "non-preemptible work never runs above a quota, at any level"
	WithinLimits          = "nobody runs above a limit, at any level"
	TakesOnlyTheTakeable  = "only preemptible work that had its minimum run time is stopped"
	ReclaimsFromBorrowers = "reclaim takes only from borrowers, for quota or for an equal share of surplus"
	SparesTheFresh        = "borrowers leave alone what has not had its surplus run time"
	TakesOnlyWhatIsNeeded = "no victim is taken that is not needed"
	PreemptsWithinOwner   = "preemption takes only lower priorities of the same owner, or what was served more"
	MovesWithinBudget     = "only what has moves left is moved, and to a place that is kept for it"
	KeepsState            = "work is suspended whole and with room for its state, and resumes with it"
	WorkConserving        = "nothing waits that could start"
	QuotaComesBack        = "what an owner is guaranteed comes back from borrowers"
	ExplainsAll           = "every waiting workload is explained"
	ExplainsTruly         = "granting what an explanation names makes the workload start"
	OffersHold            = "under every offer the workload would start now"
	CountsUse             = "use is counted right for every owner"
	Same                  = "the same events give the same decisions"
	SameAfterRestart      = "an engine restarted from the API objects decides the same"
	Settles               = "with nothing changed nothing is decided, and what was taken is not given back"
	Accepts               = "true events are accepted"
	Answers               = "the engine answers, whatever happens"
)

// Breach is a law that was broken.
type Breach struct {
	Law string
	Err error
}

func (b *Breach) Error() string { return fmt.Sprintf("law broken: %s: %v", b.Law, b.Err) }

// Unwrap returns what was found.
func (b *Breach) Unwrap() error { return b.Err }

// CheckRound asks every law about one round.
func CheckRound(r Round) *Breach {
	for _, law := range Laws {
		if law.Round == nil {
			continue
		}
		if err := law.Round(r); err != nil {
			return &Breach{law.Name, err}
		}
	}
	return nil
}

// CheckRest asks every law about a moment of rest.
func CheckRest(r Rest) *Breach {
	for _, law := range Laws {
		if law.Rest == nil {
			continue
		}
		if err := law.Rest(r); err != nil {
			return &Breach{law.Name, err}
		}
	}
	return nil
}
