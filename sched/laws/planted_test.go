package laws_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/laws"
)

// planted lists, for each law, an engine that breaks it.
var planted = []violation{
	{laws.NeverOverGranted, "grants the same devices twice", everywhere(erring{say: grantTwice})},
	{laws.NeverOverGranted, "does not hear what foreign pods take", everywhere(erring{hear: deafToForeign})},
	{laws.NeverOverGranted, "takes a third more of a device", everywhere(erring{say: growShares})},
	{laws.GrantedAsAsked, "grants a MiB less", everywhere(erring{say: shaveShares})},
	{laws.GrantedAsAsked, "loses the limits", everywhere(erring{say: loseLimits})},
	{laws.GrantedAsAsked, "charges half", everywhere(erring{say: chargeHalf})},
	{laws.OnlyWhereAllowed, "does not hear of cordons and sick devices", everywhere(erring{hear: healthy})},
	{laws.GangsWhole, "forgets to start one member", everywhere(erring{say: dropMember})},
	{laws.GuaranteedInQuota, "takes all work for preemptible", everywhere(erring{
		hear: hearWork(func(w *sched.Workload) { w.Preemptible = true }),
	})},
	{laws.GuaranteedInQuota, "looks at the leaf's quota only", everywhere(erring{hear: hearOwner(leafOnly)})},
	{laws.WithinLimits, "does not hear of limits", everywhere(erring{
		hear: hearOwner(func(_ string, p *sched.OwnerPool) { p.Limit = sched.NoLimit }),
	})},
	{laws.TakesOnlyTheTakeable, "does not hear of minimum run times", everywhere(erring{
		hear: hearWork(func(w *sched.Workload) { w.MinRuntime = 0 }),
	})},
	{laws.ReclaimsFromBorrowers, "takes quotas of others for nothing", everywhere(erring{hear: hearOwner(onlyVision)})},
	{laws.ReclaimsFromBorrowers, "names another owner as the winner", everywhere(erring{
		say: eachTaken(func(d *sched.Decision) { d.ForOwner = d.Workload }),
	})},
	{laws.SparesTheFresh, "does not hear of surplus run times", everywhere(erring{hear: deafToSurplusRuntime})},
	{laws.TakesOnlyWhatIsNeeded, "takes one more", everywhere(erring{say: takeOneMore})},
	{laws.PreemptsWithinOwner, "calls reclaim preemption", everywhere(erring{
		say: eachTaken(func(d *sched.Decision) { d.Rule = sched.Preempt }),
	})},
	{laws.PreemptsWithinOwner, "turns priorities round", everywhere(erring{
		hear: hearWork(func(w *sched.Workload) { w.Priority = 100 - w.Priority }),
	})},
	{laws.MovesWithinBudget, "does not count moves", everywhere(erring{
		hear: hearWork(func(w *sched.Workload) { w.Moves = 9 }),
	})},
	{laws.KeepsState, "evicts what it could suspend", everywhere(erring{say: each(func(d *sched.Decision) {
		if d.Action == sched.Suspend {
			d.Action, d.Grant, d.HostMiB = sched.Evict, sched.Grant{}, 0
		}
	})})},
	{laws.KeepsState, "takes host memory for endless", everywhere(erring{hear: func(ev sched.Event) sched.Event {
		if n, ok := ev.(sched.NodeSet); ok {
			n.Node.HostMiB = 1 << 40
			return n
		}
		return ev
	}})},
	{laws.GangsWhole, "suspends a gang but for one pod", everywhere(erring{say: suspendLess})},
	{laws.KeepsState, "starts anew what it should resume", everywhere(erring{say: each(func(d *sched.Decision) {
		if d.Action == sched.Resume {
			d.Action = sched.Start
		}
	})})},
	{laws.WorkConserving, "leaves low priorities aside", everywhere(erring{
		hear: hearWork(func(w *sched.Workload) { w.Suspended = w.Suspended || w.Priority == 0 }),
	})},
	{laws.QuotaComesBack, "never takes anything back", everywhere(erring{
		hear: hearWork(func(w *sched.Workload) { w.MinRuntime = 1 << 40 }),
	})},
	{laws.ExplainsAll, "explains nothing", everywhere(erring{explain: silent})},
	{laws.ExplainsTruly, "always says the quota", everywhere(erring{explain: always(sched.ReasonOverQuota)})},
	{laws.ExplainsTruly, "always says CPU", everywhere(erring{explain: always(sched.ReasonNoCPU)})},
	{laws.OffersHold, "offers what was asked", everywhere(erring{explain: offerAsIs})},
	{laws.CountsUse, "counts one GPU too much", everywhere(erring{use: countMore})},
	{laws.Same, "decides in another order in another process", from(1, erring{say: reversed})},
	{laws.SameAfterRestart, "decides in another order after a restart", from(2, erring{say: reversed})},
	{laws.SameAfterRestart, "forgets priorities in a restart", from(2, erring{
		hear: hearWork(func(w *sched.Workload) { w.Priority = 0 }),
	})},
	{laws.Settles, "repeats itself", everywhere(erring{say: repeat})},
	{laws.Settles, "lets the loser take back", everywhere(erring{say: takeBack})},
	{laws.Answers, "panics when a node vanishes", everywhere(erring{hear: panicOnLoss})},
	{laws.Accepts, "refuses foreign pods", everywhere(erring{refuse: isForeign})},
}

// violation is an engine that errs, and the law that has to catch it.
type violation struct {
	law  string
	does string
	make laws.Maker
}

// TestPlantedViolations checks that the laws can be broken: each of the
// engines that err is caught, and by the law that it breaks.
func TestPlantedViolations(t *testing.T) {
	const most = 4_000 // histories until an error has to have shown
	for _, p := range planted {
		t.Run(strings.ReplaceAll(p.does, " ", "_"), func(t *testing.T) {
			t.Parallel()
			others := map[string]int{}
			for seed := range most {
				w := laws.NewWorld(onlyOn{}, p.make)
				b := w.Play(histories.Example(seed))
				if b == nil {
					continue
				}
				if b.Law == p.law {
					return
				}
				others[b.Law]++
			}
			t.Errorf("an engine that %s was not caught by the law %q in %d histories; other laws caught it: %v",
				p.does, p.law, most, others)
		})
	}
}

// TestEveryLawIsPlanted keeps the list of planted errors complete.
func TestEveryLawIsPlanted(t *testing.T) {
	names := []string{laws.Same, laws.SameAfterRestart, laws.Settles, laws.Accepts, laws.Answers}
	for _, law := range laws.Laws {
		names = append(names, law.Name)
	}
	for _, name := range names {
		if !slices.ContainsFunc(planted, func(p violation) bool { return p.law == name }) {
			t.Errorf("no engine is planted that breaks the law %q", name)
		}
	}
}
