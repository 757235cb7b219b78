package board

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/sim/replay"
)

// smallest is the smallest pool, over all plans, with which nobody is worse.
func (p *page) smallest() *replay.Report {
	var least *replay.Report
	for _, s := range Scenarios() {
		r := p.results[s.Name()].Replay
		if r != nil && r.NoWorse && (least == nil || r.GPUs < least.GPUs) {
			least = r
		}
	}
	return least
}

func sharing(p *page) {
	var rows [][]string
	for _, s := range Scenarios() {
		r := p.results[s.Name()].Replay
		if r == nil {
			continue
		}
		worse := "none"
		if len(r.Worse) > 0 {
			worse = fmt.Sprintf("%d: %s", len(r.Worse), strings.Join(r.Worse, ", "))
		}
		rows = append(rows, []string{
			r.Plan, fmt.Sprint(r.GPUs), two(float64(r.Static.GPUs) / float64(r.GPUs)), fmt.Sprintf("%.1f", 100*r.Utilisation),
			fmt.Sprintf("%.0f", r.Wait.Mean), fmt.Sprintf("%.0f", r.Wait.P99), fmt.Sprint(r.Evictions), two(r.Lost),
			two(r.Fairness.Worst), fmt.Sprintf("%.3f", r.Jain), fmt.Sprintf("%.0f", r.Violation), worse,
			"`" + strings.TrimPrefix(s.Command(), "weir simulate replay ") + "`",
		})
	}
	if len(rows) == 0 {
		return
	}
	p.write("## The same work on fewer GPUs")
	p.writef(`64,933 jobs of 15 tenants of the Philly trace, for 75 days; how long jobs run is not told to the scheduler
([plans and figures](reference/replay.md)). Under static each tenant has GPUs of its own. An independent simulator has
%.0f s of mean wait and %.0f s at p99 for it; and %.1f GPUs are busy in the mean, whatever the plan, which bounds all of
them. Waits are in seconds. The command is `+"`weir simulate replay -o json`"+` with what the last column says. There
is one history and nothing random, so there is no spread.`, staticWait, staticTail, demandFloor)
	p.table([]string{"plan", "GPUs", "times fewer", "in use, %", "mean wait", "p99", "evictions", "work lost, %",
		"worst finish time, times static", "Jain", "quota violated, s", " who waits longer than under static", " with"}, rows)
	p.chart("replay", p.waits())
}

func (p *page) waits() Chart {
	c := Chart{Title: "Mean wait by pool size, Philly trace", X: "GPUs", Y: "mean wait, s (1 if less)", LogY: true}
	for _, plan := range replay.Plans {
		s := Series{Name: plan, Dots: true}
		for _, x := range Scenarios() {
			if r := p.results[x.Name()].Replay; r != nil && r.Plan == plan {
				s.Points = append(s.Points, [2]float64{float64(r.GPUs), math.Max(r.Wait.Mean, 1)})
			}
		}
		slices.SortFunc(s.Points, func(a, b [2]float64) int { return int(a[0] - b[0]) })
		if len(s.Points) > 0 {
			c.Series = append(c.Series, s)
		}
	}
	if len(c.Series) == 1 { // static alone is a dot
		return Chart{}
	}
	return c
}

func tenants(p *page) {
	static := p.results["replay/static"].Replay
	if static == nil {
		return
	}
	head := []string{"tenant", "jobs", "static GPUs", "mean wait"}
	var shown []*replay.Report
	for _, s := range Scenarios() {
		r := p.results[s.Name()].Replay
		if r == nil || s.Replay.Plan == "static" || !s.Replay.Shrink && s.Replay.GPUs != 704 {
			continue
		}
		shown = append(shown, r)
		name := fmt.Sprintf("%s %d", r.Plan, r.GPUs)
		head = append(head, name+": quota", "mean wait")
	}
	if len(shown) == 0 {
		return
	}
	var rows [][]string
	for _, t := range static.Tenants {
		row := []string{t.Name, fmt.Sprint(t.Jobs), fmt.Sprint(t.Quota), fmt.Sprintf("%.0f", t.Wait.Mean)}
		for _, r := range shown {
			for _, x := range r.Tenants {
				if x.Name == t.Name {
					row = append(row, fmt.Sprint(x.Quota), fmt.Sprintf("%.0f", x.Wait.Mean))
				}
			}
		}
		rows = append(rows, row)
	}
	p.write("### Tenant by tenant")
	p.write(`Nobody may wait longer than under static, or a minute if that is more. Quotas are found in the history: only who could
not wait otherwise is guaranteed anything.`)
	p.table(head, rows)
}
