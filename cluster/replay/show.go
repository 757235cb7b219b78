package replay

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// show shows the progress until the replay is over.
func (p *player) show(ctx context.Context, all <-chan struct{}) error {
	screen := &screen{out: p.opts.Out, terminal: p.opts.Terminal}
	tick := time.NewTicker(p.opts.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now := time.Now()
		report := p.report(now)
		latest, changed := p.board.last()
		if err := screen.draw(report, latest, p.opts.GPUs); err != nil {
			return err
		}
		select {
		case <-all:
			if over(report, now.Sub(changed), p.opts.Patience) {
				return nil
			}
		default:
		}
	}
}

// over reports whether nothing is left to see of a schedule that has been fed
// whole: every pod was placed, or what waits has waited in vain for long.
func over(r *Report, quiet, patience time.Duration) bool {
	left := r.Pods - r.Placed
	for _, refused := range r.Refused {
		left -= refused.Pods
	}
	return r.Waiting == 0 && left <= 0 || quiet >= patience
}

// screen shows one look after the other.
type screen struct {
	out      io.Writer
	terminal bool
	lines    int // of the last look, to go back over
	shown    Receipt
}

func (s *screen) draw(r *Report, latest Receipt, gpus int) error {
	if s.out == nil {
		return nil
	}
	if !s.terminal {
		line := progressLine(r, gpus)
		if latest != s.shown && latest.Rule != "" {
			line += "\n      " + receiptLine(latest)
		}
		s.shown = latest
		_, err := fmt.Fprintln(s.out, line)
		return err
	}
	look := progressTable(r, latest, gpus)
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.lines) // up
	}
	for line := range strings.Lines(look) {
		b.WriteString("\x1b[2K") // what was there before may be longer
		b.WriteString(line)
	}
	b.WriteString("\x1b[J")
	s.lines = strings.Count(look, "\n")
	_, err := io.WriteString(s.out, b.String())
	return err
}

// progressLine is the progress in a line: "  42s  3121 of 4210 pods placed …".
func progressLine(r *Report, gpus int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%5s %s", clock(r.Took), headline(r, gpus))
	var borrowed []string
	for _, p := range r.Projects {
		if p.Now.Borrowed > 0 {
			borrowed = append(borrowed, fmt.Sprintf("%s %s", p.Name, amount(p.Now.Borrowed)))
		}
	}
	if len(borrowed) > 0 {
		b.WriteString("; borrowed by " + strings.Join(borrowed, ", "))
	}
	return b.String()
}

func headline(r *Report, gpus int) string {
	reclaimed, preempted, moved := stops(r)
	s := fmt.Sprintf("%d of %d pods placed, %d waiting, %s of %d GPUs in use",
		r.Placed, r.Pods, r.Waiting, amount(r.GPUs), gpus)
	for _, c := range []struct {
		n    int
		what string
	}{{reclaimed, "reclaimed"}, {preempted, "preempted"}, {moved, "moved"}} {
		if c.n > 0 {
			s += fmt.Sprintf(", %d %s", c.n, c.what)
		}
	}
	if r.Held >= time.Second {
		s += fmt.Sprintf(" (%s behind schedule, as this machine is busy)", clock(r.Held))
	}
	return s
}

func stops(r *Report) (reclaimed, preempted, moved int) {
	for _, p := range r.Projects {
		reclaimed += p.Reclaimed
		preempted += p.Preempted
		moved += p.Moved
	}
	return reclaimed, preempted, moved
}

// progressTable is the progress as a block of lines, for a terminal.
func progressTable(r *Report, latest Receipt, gpus int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n", clock(r.Took), headline(r, gpus))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	width := widest(r.Projects)
	fmt.Fprintf(w, "%-*s\tquota\tin use\tborrowed\tlent\twaiting\treclaimed\tpreempted\t\n", width, "project")
	for _, p := range r.Projects {
		fmt.Fprintf(w, "%-*s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", width, p.Name, amount(p.Now.Quota), amount(p.Now.Granted),
			orDash(p.Now.Borrowed), orDash(p.Now.Lent), orDash(float64(p.Waiting)),
			orDash(float64(p.Reclaimed)), orDash(float64(p.Preempted)))
	}
	w.Flush()
	b.WriteString("\n")
	if latest.Rule != "" {
		b.WriteString(receiptLine(latest))
	}
	b.WriteString("\n")
	return b.String()
}

// receiptLine is a receipt in a line that fits most terminals.
func receiptLine(r Receipt) string {
	line := fmt.Sprintf("%s %s %s: %s", clock(r.At), r.Rule, r.Pod, r.Note)
	const most = 160
	if runes := []rune(line); len(runes) > most {
		line = string(runes[:most-1]) + "…"
	}
	return line
}

// clock writes a time since the start: 42s, 1m05s.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	if s < 60 {
		return fmt.Sprintf("%ds", s)
	}
	return fmt.Sprintf("%dm%02ds", s/60, s%60)
}

// amount writes a number of GPUs with one decimal at most.
func amount(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}

func orDash(f float64) string {
	if f == 0 {
		return "-"
	}
	return amount(f)
}
