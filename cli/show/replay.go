package show

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/sim/replay"
)

// Replay prints what became of a trace.
type Replay struct{ *replay.Report }

// Write prints the figures of all jobs, then those of each tenant, then what
// quotas cost.
func (r Replay) Write(w io.Writer, p text.Palette) error {
	all := text.NewTable("PLAN", ">GPUS", ">IN USE", ">JOBS", ">MEAN WAIT", ">P99", ">MEAN TIME", ">SWAPS", ">EVICTIONS", ">LOST", ">JAIN")
	was := r.Static
	all.Add("static", strconv.FormatInt(was.GPUs, 10), perCent(100*was.Utilisation), strconv.Itoa(r.Jobs),
		seconds(was.Wait.Mean), seconds(was.Wait.P99), seconds(was.Completion.Mean), "0", "0", perCent(0), "")
	if r.Plan != "static" {
		all.Add(r.Plan, strconv.FormatInt(r.GPUs, 10), perCent(100*r.Utilisation), strconv.Itoa(r.Jobs),
			seconds(r.Wait.Mean), seconds(r.Wait.P99), seconds(r.Completion.Mean),
			strconv.Itoa(r.Swaps), strconv.Itoa(r.Evictions), perCent(r.Lost), strconv.FormatFloat(r.Jain, 'f', 3, 64))
	}
	steps := []func() error{
		func() error { return all.Write(w, p) },
		func() error { return line(w, "") },
		func() error { return r.tenants().Write(w, p) },
	}
	if len(r.Costs) > 0 {
		steps = append(steps, func() error { return line(w, "") }, func() error { return r.costs().Write(w, p) })
	}
	if r.Plan != "static" {
		steps = append(steps, func() error { return line(w, "\n"+r.verdict()) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func line(w io.Writer, text string) error {
	_, err := fmt.Fprintln(w, text)
	return err
}

func (r Replay) tenants() *text.Table {
	t := text.NewTable("TENANT", ">QUOTA", ">WEIGHT", ">JOBS", ">GPU HOURS", ">MEAN WAIT", ">P99", ">BOUND",
		">SWAPS", ">EVICTIONS", ">LOST")
	for _, x := range r.Tenants {
		row := []text.Cell{}
		for _, word := range []string{
			x.Name, strconv.FormatInt(x.Quota, 10), strconv.FormatInt(x.Weight, 10), strconv.Itoa(x.Jobs),
			strconv.FormatFloat(x.GPUHours, 'f', 0, 64), seconds(x.Wait.Mean), seconds(x.Wait.P99), seconds(x.Bound),
			strconv.Itoa(x.Swaps), strconv.Itoa(x.Evictions), perCent(x.Lost),
		} {
			row = append(row, text.Cell{Text: word})
		}
		if slices.Contains(r.Worse, x.Name) {
			const meanWait = 5
			row[meanWait].Paint = text.Bad
		}
		t.AddCells(row...)
	}
	return t
}

func (r Replay) costs() *text.Table {
	t := text.NewTable("QUOTA OF", ">GPUS", ">ITS WAIT", ">WITHOUT", ">OTHERS WAIT", ">LOST GPU HOURS")
	for _, c := range r.Costs {
		t.Add(c.Tenant, strconv.FormatInt(c.Quota, 10), seconds(c.Wait), seconds(c.Without),
			signed(seconds(c.Others), c.Others), signed(strconv.FormatFloat(c.Lost, 'f', 0, 64), c.Lost))
	}
	return t
}

func signed(text string, x float64) string {
	if x > 0 {
		return "+" + text
	}
	return text
}

func (r Replay) verdict() string {
	times := float64(r.Static.GPUs) / float64(r.GPUs)
	found := ""
	if r.Advised {
		found = fmt.Sprintf(", with quotas found in %d simulations", r.Runs)
	}
	if r.NoWorse {
		return fmt.Sprintf("Nobody waits longer than under static, on %.2f times fewer GPUs%s.", times, found)
	}
	if len(r.Worse) == 0 {
		return fmt.Sprintf("No tenant waits longer than under static, but the jobs as a whole do, on %.2f times fewer GPUs%s.",
			times, found)
	}
	return fmt.Sprintf("%d of %d tenants wait longer than under static, on %.2f times fewer GPUs%s.",
		len(r.Worse), len(r.Tenants), times, found)
}

// seconds prints a time for people.
func seconds(s float64) string {
	if s > -10 && s < 10 {
		return strconv.FormatFloat(s, 'f', 1, 64) + "s"
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

func perCent(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) + "%" }
