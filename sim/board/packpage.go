package board

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sim/openb"
	"github.com/weir-gpu/weir/sim/pack"
)

func head(p *page) {
	p.write("# Scoreboard")
	p.write(`What Weir is measured by: public production traces, by published protocols, beside what others published. The
baseline is reproduced first, by the same engine with another rule; without that no figure of Weir means anything.

This page is written by ` + "`make scoreboard`" + ` from [results](scoreboard/results.json), which it brings up to date
before: what the code and data of engine and simulator have not changed for is not run again. Each table says which
command gives the same by hand. Every decision is that of the engine of the live scheduler.`)
	for _, wrong := range p.results.Gate() {
		p.write("**Not as published:** " + wrong)
	}
}

func headlines(p *page) {
	p.write("## In short")
	var rows [][]string
	for _, list := range openb.Lists {
		fgd, weir := p.packed(Packing{List: list, Policy: "fgd"}), p.packed(Packing{List: list, Policy: "weir"})
		if fgd == nil || weir == nil {
			continue
		}
		for _, load := range []int{130, 100} {
			rows = append(rows, []string{
				fmt.Sprintf("`%s`: given out when %d%% is asked for, %%", list, load), orNone(published[list][load]["fgd"]),
				meanOf(fgd.At[load]), "**" + meanOf(weir.At[load]) + "**", orNone(published[list][load][lp]),
			})
		}
	}
	static, least := p.results["replay/static"].Replay, p.smallest()
	if static != nil && least != nil {
		rows = append(rows,
			[]string{"Philly: GPUs with which no tenant waits longer than with its own", "", fmt.Sprint(static.GPUs),
				fmt.Sprintf("**%d** (%s)", least.GPUs, least.Plan), fmt.Sprint(demandFloor)},
			[]string{"Philly: mean wait, s, with as many", "", fmt.Sprintf("%.0f", static.Wait.Mean),
				fmt.Sprintf("**%.0f**", least.Wait.Mean), ""})
	}
	p.table([]string{"", "published", "baseline here", "Weir", "bound"}, rows)
	p.write(`Published figures and baselines are those of FGD, the best published rule, and of tenants with GPUs of their own.
Bounds are published ones, of a scheduler that knows what comes and may refuse whom it likes; for one that may not see
[what bounds it](#what-bounds-it). ± is the standard deviation between seeds.`)
}

func packing(p *page) {
	p.write("## How full a cluster gets")
	p.write(`1,213 nodes with 6,212 GPUs of the openb trace; pods come in random order, one at a time; what fits nowhere is dropped,
nothing ends ([protocol](reference/pack.md)). Figures are GPUs given out, in per cent, by what was asked for until then.
Means of ten seeds. The command is ` + "`weir simulate pack -o json --at 80,90,95,100,110,130`" + ` with what the last
column says.`)
	for _, list := range openb.Lists {
		p.write("### `" + list + "`")
		p.table([]string{"policy", "130 published", "130 here", "110", "100 published", "100 here", "95", "90", "80", " with"},
			p.policies(list))
		p.chart("pack-"+list, p.loads(list))
	}
	p.write(`Weir is told what pods of the list are like in general, as FGD is. With ` + "`--learn`" + ` it counts what came
(three seeds), as a live scheduler has to:`)
	var rows [][]string
	for _, list := range openb.Lists {
		told := p.packed(Packing{List: list, Policy: "weir"})
		r := p.packed(Packing{List: list, Policy: "weir", Learn: true})
		if r == nil || told == nil {
			continue
		}
		row := []string{"`" + list + "`"}
		for _, load := range []int{95, 100, 130} {
			row = append(row, signed(paired(r, told, load)))
		}
		rows = append(rows, row)
	}
	p.table([]string{"learning, against being told, same seeds", "95", "100", "130"}, rows)
}

// paired is the mean of how much more a gave out than b, over the seeds of both.
func paired(a, b *Packed, load int) float64 {
	x, y := a.At[load], b.At[load]
	n := min(len(x), len(y))
	mx, _ := stats(x[:n])
	my, _ := stats(y[:n])
	return mx - my
}

// policies are the rows of a list: ours, and those that are published only.
func (p *page) policies(list string) [][]string {
	var rows [][]string
	of := published[list]
	for _, name := range []string{"clustering", "packing"} {
		rows = append(rows, []string{name, orNone(of[130][name]), "", "", orNone(of[100][name]), "", "", "", "", "published only"})
	}
	for _, s := range Scenarios() {
		if s.Pack == nil || s.Pack.List != list || s.Pack.Learn || s.Pack.Moves {
			continue
		}
		r := p.packed(*s.Pack)
		if r == nil {
			continue
		}
		name := s.Pack.Policy
		row := []string{name, orNone(of[130][name]), meanOf(r.At[130]), meanOf(r.At[110]), orNone(of[100][name])}
		for _, load := range []int{100, 95, 90, 80} {
			row = append(row, meanOf(r.At[load]))
		}
		rows = append(rows, append(row, "`"+strings.TrimPrefix(s.Command(), "weir simulate pack ")+"`"))
	}
	return rows
}

// chartFrom is the load at which charts begin: before, everything fits.
const chartFrom = 80

func (p *page) loads(list string) Chart {
	c := Chart{Title: "GPUs given out, " + list, X: "asked for, % of all GPUs", Y: "given out, % of all GPUs"}
	for i := range policies {
		name := policies[len(policies)-1-i] // ours first
		r := p.packed(Packing{List: list, Policy: name})
		if r == nil {
			continue
		}
		s := Series{Name: name}
		for load := chartFrom; load <= pack.Inflation; load++ {
			s.Points = append(s.Points, [2]float64{float64(load), r.Mean[load-firstLoad]})
		}
		c.Series = append(c.Series, s)
	}
	return c
}

func variants(p *page) {
	p.write("## Lists that were not at hand")
	p.write(`A rule can be made for the files it is measured on. So Weir and FGD are compared on lists made from ` + "`default`" + `
after the rule was: more work of several GPUs, work bound to models, more work without GPUs
([how](reference/pack.md)). The last column is the load, of all from 80 to 130, at which Weir is least ahead of FGD, in
points, with the standard deviation of FGD between seeds there. The command is
` + "`weir simulate pack --pods LIST --policy weir --seed 42..51`" + `.`)
	head := []string{"FGD / Weir"}
	for _, load := range tableLoads {
		head = append(head, fmt.Sprint(load))
	}
	var rows [][]string
	for _, list := range slices.Concat(openb.Lists, openb.Variants) {
		fgd, weir := p.packed(Packing{List: list, Policy: "fgd"}), p.packed(Packing{List: list, Policy: "weir"})
		if fgd == nil || weir == nil {
			continue
		}
		row := []string{"`" + list + "`"}
		for _, load := range tableLoads {
			a, _ := stats(fgd.At[load])
			b, _ := stats(weir.At[load])
			row = append(row, two(a)+" / "+two(b))
		}
		load, by := leastAhead(weir, fgd)
		rows = append(rows, append(row, fmt.Sprintf("%s (± %.2f) at %d", signed(by), fgd.SD[load-firstLoad], load)))
	}
	p.table(append(head, " least ahead"), rows)
}

// leastAhead is the load from 80 on at which a gives out least more than b.
func leastAhead(a, b *Packed) (load int, by float64) {
	by = math.Inf(1)
	for x := chartFrom; x <= pack.Inflation; x++ {
		if d := a.Mean[x-firstLoad] - b.Mean[x-firstLoad]; d < by {
			load, by = x, d
		}
	}
	return load, by
}
