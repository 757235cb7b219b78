package board

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sim/openb"
)

func moving(p *page) {
	p.write("## With moves")
	p.write(`With ` + "`--moves`" + ` running pods may be moved to make room for one that fits nowhere, each up to three times: who has
to leave a node goes where there is room, or two change places
([how](designs/0001-engine.md#consolidating)). Figures are what that adds, in points, with the same seeds.
The last column is the load, of all from 80 to 130, at which that is least. The command is
` + "`weir simulate pack --pods LIST --policy weir --moves --seed 42..51`" + `.`)
	head := []string{"moves add"}
	for _, load := range tableLoads {
		head = append(head, fmt.Sprint(load))
	}
	var rows [][]string
	for _, list := range slices.Concat(openb.Lists, openb.Variants) {
		with := p.packed(Packing{List: list, Policy: "weir", Moves: true})
		without := p.packed(Packing{List: list, Policy: "weir"})
		if with == nil || without == nil {
			continue
		}
		row := []string{"`" + list + "`"}
		for _, load := range tableLoads {
			row = append(row, signed(paired(with, without, load)))
		}
		moves, _ := stats(with.Moves)
		load, by := leastAhead(with, without)
		rows = append(rows, append(row, fmt.Sprintf("%.1f", moves), fmt.Sprintf("%s at %d", signed(by), load)))
	}
	p.table(append(head, "moves per 1,000 pods", " least"), rows)
}

// enough is the least of what was given out before after which want is out of
// reach; 100 if it never is.
func (l *Limiting) enough(want float64, bounds []float64) float64 {
	i := slices.IndexFunc(bounds, func(most float64) bool { return most < want })
	if i < 0 {
		return 100
	}
	return l.Given[i]
}

// bars are what was set out to reach with moves, for each of limitings.
var bars = []float64{96.8, 99.0, 90.5}

func bounds(p *page) {
	p.write("## What bounds it")
	p.write(`A pod that asks for 810 thousandths of a GPU leaves a hole that only pods of at most 190 can fill, and of these few
come; 470 beside 470 leave 60. A rule that accepted such pods has lost their holes, and no move brings them back, since a
move does not make a pod smaller, and nothing ends here. What a rule gave out says which pods it can have refused, and so
what it can reach at the most: a linear program over the sizes that came (` + "`sim/pack/bound.go`" + `). Where nothing was given
out before, it is the published bound, of a rule that knows what comes and refuses whom it likes. A test holds all rules
against it, with moves too.`)
	var outs []string
	for i, l := range limitings {
		found := p.results[Scenario{Limit: l}.Name()].Limit
		var rows [][]string
		for j, bound := range found {
			rows = append(rows, []string{fmt.Sprintf("%.1f", l.Given[j]), two(bound)})
		}
		if len(rows) == 0 {
			continue
		}
		p.table([]string{fmt.Sprintf("given out of `%s` at %d, %%", l.List, l.Load),
			fmt.Sprintf("no rule exceeds at %d, %%", l.At)}, rows)
		outs = append(outs, fmt.Sprintf("- %.1f at %d of `%s`, for who gives out %.1f at %d",
			bars[i], l.At, l.List, l.enough(bars[i], found), l.Load))
	}
	p.write("So these are out of reach, with or without moves:")
	p.write(strings.Join(outs, "\n"))
	p.write(`FGD gives out more than that, there. To reach more later, a rule has to refuse pods early while there is room for them;
Weir refuses nobody that fits. The command is ` + "`go run ./test/scoreboard -only limit`" + `. For what rules did give out
at 80, 90 and 95:`)
	p.table([]string{"", "at 100", "bound that follows", "at 130", "bound that follows", "published bound, refusing freely"}, p.bounded())
}

// bounded are rules with what bounds them.
func (p *page) bounded() [][]string {
	var rows [][]string
	for _, list := range openb.Lists {
		for _, x := range []Packing{
			{List: list, Policy: "fgd"}, {List: list, Policy: "weir"}, {List: list, Policy: "weir", Moves: true},
		} {
			if r := p.packed(x); r != nil {
				name := x.Policy
				if x.Moves {
					name += ", with moves"
				}
				rows = append(rows, []string{"`" + list + "`, " + name, meanOf(r.At[100]), meanOf(r.Bound[100]),
					meanOf(r.At[130]), meanOf(r.Bound[130]), orNone(published[list][130][lp])})
			}
		}
	}
	return rows
}
