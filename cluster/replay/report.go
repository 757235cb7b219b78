package replay

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// printReport writes the report for people.
func printReport(out io.Writer, r *Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe replay took %s: %d of %d pods were placed, %d wait.\n",
		clock(r.Took), r.Placed, r.Pods, r.Waiting)
	if r.Held >= time.Second {
		fmt.Fprintf(&b, "The machine was too slow for the schedule, which was held up for %s in all.\n",
			clock(r.Held))
	}
	if r.Again > 0 {
		fmt.Fprintf(&b, "Evicted and submitted again, as nothing recreates them: %s.\n", count(r.Again, "pod"))
	}
	b.WriteString("\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	width := widest(r.Projects)
	fmt.Fprintf(w, "%-*s\tpods\tplaced\twaiting\tquota\tmost in use\tborrowed\tlent\treclaimed\tpreempted\tmoved\t\n",
		width, "project")
	for _, p := range r.Projects {
		fmt.Fprintf(w, "%-*s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t\n",
			width, p.Name, p.Pods, p.Placed, p.Waiting,
			amount(p.Most.Quota), amount(p.Most.Granted), orDash(p.Most.Borrowed), orDash(p.Most.Lent),
			p.Reclaimed, p.Preempted, p.Moved)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	printReceipts(&b, r)
	if len(r.Waits) > 0 {
		b.WriteString("\nWhat waits, and why:\n")
	}
	for _, wait := range r.Waits {
		fmt.Fprintf(&b, "  %s: %s, like %s: %s\n",
			count(wait.Pods, "pod"), orUnknown(wait.Reason), wait.Pod, orUnknown(wait.Message))
	}
	printRefusals(&b, r.Refused)
	_, err := io.WriteString(out, b.String())
	return err
}

func printRefusals(b *strings.Builder, refused []Refusal) {
	const most = 5
	if len(refused) > 0 {
		fmt.Fprintf(b, "\nRefused: %s:\n", count(len(refused), "submission"))
	}
	for _, r := range refused[:min(most, len(refused))] {
		fmt.Fprintf(b, "  %s/%s: %s\n", r.Project, r.Name, r.Message)
	}
	if len(refused) > most {
		fmt.Fprintf(b, "  and %d more\n", len(refused)-most)
	}
}

// printReceipts writes one receipt of everything that happened.
func printReceipts(b *strings.Builder, r *Report) {
	b.WriteString("\nReceipts, the first of each kind:\n")
	if text := borrowReceipt(r); text != "" {
		fmt.Fprintf(b, "  borrow       %s\n", text)
	}
	for _, rule := range rules {
		if receipt, ok := r.Receipts[rule.rule]; ok {
			fmt.Fprintf(b, "  %-12s after %s, %s: %s\n", rule.rule, clock(receipt.At), receipt.Pod, receipt.Note)
		}
	}
}

// borrowReceipt tells who borrowed the most, and who lent.
func borrowReceipt(r *Report) string {
	var by ProjectReport
	for _, p := range r.Projects {
		if p.Most.Borrowed > by.Most.Borrowed {
			by = p
		}
	}
	if by.Name == "" {
		return ""
	}
	var lenders []string
	for _, p := range r.Projects {
		if p.Most.Lent > 0 {
			lenders = append(lenders, fmt.Sprintf("%s (%s)", p.Name, amount(p.Most.Lent)))
		}
	}
	return fmt.Sprintf("project %s ran on %s GPUs more than its quota of %s; lent at most by: %s",
		by.Name, amount(by.Most.Borrowed), amount(by.Most.Quota), strings.Join(lenders, ", "))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// widest returns the width of a column of the projects' names.
func widest(projects []ProjectReport) int {
	width := len("project")
	for _, p := range projects {
		width = max(width, len(p.Name))
	}
	return width
}

func orUnknown(s string) string {
	if s == "" {
		return "not told yet"
	}
	return s
}
