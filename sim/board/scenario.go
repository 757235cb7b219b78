package board

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/openb"
	"github.com/weir-gpu/weir/sim/replay"
)

// Scenario is one thing to run; exactly one of its parts is set.
type Scenario struct {
	Pack   *Packing  `json:"pack,omitempty"`
	Limit  *Limiting `json:"limit,omitempty"`
	Replay *Replay   `json:"replay,omitempty"`
	Scale  *Scaling  `json:"scale,omitempty"`
}

// Packing fills a cluster with the pods of a list, once for each seed.
type Packing struct {
	List   string `json:"list"`
	Policy string `json:"policy"`
	Learn  bool   `json:"learn,omitempty"`
	Moves  bool   `json:"moves,omitempty"`
	Seeds  int    `json:"seeds"` // from firstSeed on
}

// Limiting asks how much any rule can give out of a list at a load that gave out
// so much at an earlier one, in per cent; see pack.Case.Bound.
type Limiting struct {
	List  string    `json:"list"`
	Load  int       `json:"load"`
	Given []float64 `json:"given"` // at Load
	At    int       `json:"at"`
	Seeds int       `json:"seeds"`
}

// limitings are what the page shows. At 95% FGD gives out 94.9 of default, and
// at 80% what is asked for of gpushare100.
var limitings = []*Limiting{
	{List: "default", Load: 95, Given: []float64{80, 85, 90, 92, 93, 94, 94.9, 95}, At: 100, Seeds: seeds},
	{List: "default", Load: 95, Given: []float64{80, 85, 90, 92, 93, 94, 94.9, 95}, At: 130, Seeds: seeds},
	{List: "gpushare100", Load: 80, Given: []float64{60, 65, 70, 75, 78, 79, 79.9, 80}, At: 130, Seeds: seeds},
}

// Replay plays the Philly trace under a plan, with the quotas that the adviser
// finds.
type Replay struct {
	Plan   string `json:"plan"`
	GPUs   int64  `json:"gpus,omitempty"`
	Shrink bool   `json:"shrink,omitempty"` // find the smallest pool instead
	// Quotas and Weights are those to use, instead of the adviser's.
	Quotas  map[string]int64 `json:"quotas,omitempty"`
	Weights map[string]int64 `json:"weights,omitempty"`
	// Surplus is how it is divided, unless as the plan does; Bursty adds a tenant
	// that asks for so many GPUs at once.
	Surplus string `json:"surplus,omitempty"`
	Bursty  int    `json:"bursty,omitempty"`
}

// fair is the plan under which every tenant has what is due to it.
func fair(bursty int) *Replay {
	return &Replay{
		Plan: "swap", GPUs: 640, Surplus: sched.ByShare, Bursty: bursty,
		Quotas:  map[string]int64{"7f04ca": 168, "b436b2": 8},
		Weights: map[string]int64{"0e4a51": 4, "2869ce": 2, "e13805": 2, "ee9e8c": 8},
	}
}

// Scaling lets jobs come to clusters of several sizes, to see what a decision
// costs. It is the only thing here that depends on the machine.
type Scaling struct {
	Nodes   []int `json:"nodes"`
	Jobs    int   `json:"jobs"`
	Uniform bool  `json:"uniform,omitempty"`
}

// firstSeed is the first of those of the published figures.
const firstSeed = 42

// Few is for what takes long, seeds for everything else.
const (
	seeds = 10
	few   = 3
)

// policies are compared on every list.
var policies = []string{"random", "dotprod", "bestfit", "fgd", "pack", "weir"}

// pools are the sizes at which plans that share are tried, in GPUs. The adviser
// takes many minutes for each with swapping, and far longer where no quotas help
// everybody: so there are few of those, and the smallest is not looked for.
var pools = map[string][]int64{
	"quota": {640, 704, 800, 960, 1232},
	"swap":  {560, 616, 704},
}

// Scenarios is everything that the page shows.
func Scenarios() []Scenario {
	var all []Scenario
	add := func(p Packing) { all = append(all, Scenario{Pack: &p}) }
	for _, list := range openb.Lists {
		for _, policy := range policies {
			add(Packing{List: list, Policy: policy, Seeds: seeds})
		}
		add(Packing{List: list, Policy: "weir", Moves: true, Seeds: seeds})
	}
	for _, list := range openb.Variants {
		for _, policy := range []string{"fgd", "weir"} {
			add(Packing{List: list, Policy: policy, Seeds: seeds})
		}
		add(Packing{List: list, Policy: "weir", Moves: true, Seeds: seeds})
	}
	for _, list := range openb.Lists {
		add(Packing{List: list, Policy: "weir", Learn: true, Seeds: few})
	}
	for _, l := range limitings {
		all = append(all, Scenario{Limit: l})
	}
	for _, plan := range replay.Plans {
		if plan == "static" { // it has the size that it has
			all = append(all, Scenario{Replay: &Replay{Plan: plan}})
			continue
		}
		for _, gpus := range pools[plan] {
			all = append(all, Scenario{Replay: &Replay{Plan: plan, GPUs: gpus}})
		}
		if plan != "swap" {
			all = append(all, Scenario{Replay: &Replay{Plan: plan, Shrink: true}})
		}
	}
	all = append(all, Scenario{Replay: fair(0)}, Scenario{Replay: fair(400)})
	sizes := []int{1250, 2500, 5000, 10_000}
	for _, x := range []Scaling{{sizes, 200_000, false}, {sizes, 200_000, true}, {[]int{10_000}, 1_000_000, false}} {
		all = append(all, Scenario{Scale: &x})
	}
	return all
}

// Short is what is run at every change: two seeds of each policy on the
// recorded list, and one pool with the quotas that are recorded.
func (r Results) Short() []Scenario {
	var all []Scenario
	for _, policy := range policies {
		all = append(all, Scenario{Pack: &Packing{List: openb.Lists[0], Policy: policy, Seeds: 2}})
	}
	pool := Scenario{Replay: &Replay{Plan: "quota", GPUs: 704}}
	if was := r[pool.Name()].Replay; was != nil {
		pool.Replay.Quotas = map[string]int64{}
		for _, t := range was.Tenants {
			pool.Replay.Quotas[t.Name] = t.Quota
		}
	}
	return append(all, pool)
}

// Name tells scenarios apart; the number of seeds is no part of it.
func (s Scenario) Name() string {
	switch {
	case s.Pack != nil:
		return s.Pack.name()
	case s.Limit != nil:
		return fmt.Sprintf("limit/%s/%d/%d", s.Limit.List, s.Limit.Load, s.Limit.At)
	case s.Scale != nil:
		return fmt.Sprintf("scale/%s/%d", s.Scale.kind(), s.Scale.Jobs)
	case s.Replay.Shrink:
		return "replay/" + s.Replay.Plan + "/shrink"
	}
	return s.Replay.name()
}

func (r Replay) name() string {
	parts := []string{"replay", r.Plan}
	if r.GPUs > 0 {
		parts = append(parts, fmt.Sprint(r.GPUs))
	}
	if r.Surplus != "" {
		parts = append(parts, r.Surplus)
	}
	if r.Bursty > 0 {
		parts = append(parts, fmt.Sprint("bursty", r.Bursty))
	}
	return strings.Join(parts, "/")
}

func (x Scaling) kind() string {
	if x.Uniform {
		return "uniform"
	}
	return "openb"
}

func (p Packing) name() string {
	parts := []string{"pack", p.List, p.Policy}
	for name, on := range map[string]bool{"learn": p.Learn, "moves": p.Moves} {
		if on {
			parts = append(parts, name)
		}
	}
	slices.Sort(parts[3:])
	return strings.Join(parts, "/")
}

// pairs writes a map as flags take it.
func pairs(of map[string]int64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		out = append(out, fmt.Sprintf("%s=%d", name, of[name]))
	}
	return strings.Join(out, ",")
}

// Command is how to get the same by hand; for one seed, where there are more.
func (s Scenario) Command() string {
	var words []string
	add := func(on bool, w ...string) {
		if on {
			words = append(words, w...)
		}
	}
	switch p, r := s.Pack, s.Replay; {
	case p != nil:
		add(true, "weir simulate pack --pods", p.List, "--policy", p.Policy)
		add(p.Learn, "--learn")
		add(p.Moves, "--moves")
		add(true, fmt.Sprintf("--seed %d..%d", firstSeed, firstSeed+p.Seeds-1))
	case r != nil:
		add(true, "weir simulate replay --plan", r.Plan)
		add(r.GPUs > 0, fmt.Sprint("--gpus ", r.GPUs))
		add(r.Shrink, "--shrink")
		add(r.Surplus != "", "--surplus", r.Surplus)
		add(r.Bursty > 0, fmt.Sprint("--bursty ", r.Bursty))
		add(r.Weights != nil, "--quota", pairs(r.Quotas), "--weight", pairs(r.Weights))
	case s.Scale != nil:
		nodes := strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Scale.Nodes), " ", ","), "[]")
		add(true, "weir simulate scale --nodes", nodes, fmt.Sprint("--jobs ", s.Scale.Jobs))
		add(s.Scale.Uniform, "--uniform")
	default:
		add(true, "go run ./test/scoreboard -only", s.Name())
	}
	return strings.Join(words, " ")
}
