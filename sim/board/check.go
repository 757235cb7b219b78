package board

import (
	"fmt"
	"slices"
)

// figure is one number that must not get worse.
type figure struct {
	value, spread float64
	// lower is better, as of waits; else higher.
	lower bool
}

// unseeded is the spread of figures that come from one history, as a part of
// them: the engine may decide otherwise for a reason, and not be worse.
const unseeded = 0.02

// Worse holds a short run against recorded results, seed by seed, and returns
// a sentence for each figure that is worse by more than its spread. The spread
// is the standard deviation that was recorded between seeds.
func (r Results) Worse(now Results) []string {
	var worse []string
	for name, x := range now {
		was, ok := r[name]
		if !ok {
			worse = append(worse, name+" is not recorded: make scoreboard")
			continue
		}
		before, after := was.figures(), x.figures()
		for what, a := range after {
			b, ok := before[what]
			if !ok {
				continue
			}
			by := b.value - a.value
			if a.lower {
				by = -by
			}
			if by > b.spread {
				worse = append(worse, fmt.Sprintf("%s: %s is %.3f, recorded is %.3f with a spread of %.3f",
					name, what, a.value, b.value, b.spread))
			}
		}
	}
	slices.Sort(worse)
	return worse
}

// figures are the headlines of a result, by what they are.
func (x Result) figures() map[string]figure {
	out := map[string]figure{}
	if p := x.Pack; p != nil {
		for load, each := range p.At {
			_, sd := stats(each)
			for i, v := range each {
				out[fmt.Sprintf("allocation at %d%%, seed %d", load, firstSeed+i)] = figure{value: v, spread: sd}
			}
		}
	}
	if r := x.Replay; r != nil {
		add := func(what string, v float64) { out[what] = figure{v, unseeded * v, true} }
		add("mean wait in s", r.Wait.Mean)
		add("p99 wait in s", r.Wait.P99)
		add("lost work in per cent", r.Lost)
		add("tenants worse than under static", float64(len(r.Worse)))
	}
	return out
}

// Gate returns a sentence for each baseline that is not as published; nothing
// is claimed unless there is none.
func (r Results) Gate() []string {
	var out []string
	for list, loads := range published {
		for load, of := range loads {
			for _, policy := range Reproduced {
				name := Packing{List: list, Policy: policy}.name()
				p := r[name].Pack
				if p == nil {
					out = append(out, name+" was not run: make scoreboard")
					continue
				}
				if mean, _ := stats(p.At[load]); mean-of[policy] > Tolerance || of[policy]-mean > Tolerance {
					out = append(out, fmt.Sprintf("%s: %.3f%% at %d%%, published is %.2f%%", name, mean, load, of[policy]))
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
