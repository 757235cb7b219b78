package show

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// Explain writes why a workload is where it is: the answer first, then what
// was checked with its numbers, who holds what is missing, and what would
// start now.
func Explain(w io.Writer, p text.Palette, ex sched.Explanation) error {
	var b strings.Builder
	b.WriteString(p.Apply(text.Bold, workload.Display(ex.Workload)) + " " + headline(p, ex) + "\n")
	if ex.Message != "" {
		b.WriteString("  " + sentence(ex.Message) + "\n")
	}
	b.WriteString("\n")
	f := text.Fields{}
	f.Add("Asks for", ex.Asked)
	f.Add("Owner", ownerName(ex.Owner))
	if ex.Position > 0 {
		f.Add("Queue", fmt.Sprintf("%d of %d that wait in %s", ex.Position, ex.Waiting, ownerName(ex.Owner)))
	}
	if err := f.Write(&b, p); err != nil {
		return err
	}
	if err := checks(&b, p, ex.Findings); err != nil {
		return err
	}
	if err := holders(&b, p, ex.Holders); err != nil {
		return err
	}
	offers(&b, p, ex.Offers)
	_, err := io.WriteString(w, b.String())
	return err
}

// headline is the state in two words.
func headline(p text.Palette, ex sched.Explanation) string {
	switch ex.Reason {
	case sched.ReasonRunning:
		return p.Apply(text.Good, "is running")
	case sched.ReasonSuspended:
		return p.Apply(text.Dim, "is suspended")
	}
	return p.Apply(text.Warn, "waits") + ": " + string(ex.Reason)
}

func section(b *strings.Builder, p text.Palette, name string) {
	b.WriteString("\n" + p.Apply(text.Bold, name) + "\n")
}

func checks(b *strings.Builder, p text.Palette, findings []sched.Finding) error {
	if len(findings) == 0 {
		return nil
	}
	section(b, p, "Checked")
	return text.WriteTree(b, "  ", branches(p, findings))
}

func branches(p text.Palette, findings []sched.Finding) []text.Branch {
	list := make([]text.Branch, len(findings))
	for i, f := range findings {
		f = shortened(f)
		list[i] = text.Branch{Text: findingLine(p, f), Children: branches(p, f.Children)}
	}
	return list
}

// shortened drops what is said again below: a finding takes over the message
// of the first of its children that fails.
func shortened(f sched.Finding) sched.Finding {
	for len(f.Children) == 1 && f.Children[0].Message == f.Message && f.Children[0].OK == f.OK {
		f = f.Children[0]
	}
	for _, c := range f.Children {
		if c.Message == f.Message {
			f.Message, f.Need, f.Have = "", 0, 0
		}
	}
	return f
}

// sentence writes a message of the engine as a sentence of its own.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// findingLine is one check: how it went, where, what was found, the numbers.
func findingLine(p text.Palette, f sched.Finding) string {
	mark := p.Apply(text.Bad, "✗")
	if f.OK {
		mark = p.Apply(text.Good, "✓")
	}
	s := mark + " " + f.Where
	if f.Message != "" {
		s += ": " + f.Message
	}
	if f.Need != 0 || f.Have != 0 {
		s += p.Apply(text.Dim, fmt.Sprintf(" (needs %s, has %s)",
			quantity.Amount(f.Need, f.Unit), bare(f.Have, f.Unit)))
	}
	return s
}

// bare is an amount whose unit has just been named.
func bare(n int64, unit string) string {
	s, _, _ := strings.Cut(quantity.Amount(n, unit), " ")
	return s
}

func holders(b *strings.Builder, p text.Palette, list []sched.Holder) error {
	if len(list) == 0 {
		return nil
	}
	section(b, p, "Held by others")
	t := text.NewTable("WORKLOAD", "OWNER", ">GPUS", "WHY IT STAYS")
	t.Indent = "  "
	for _, h := range list {
		t.Add(workload.Display(h.Workload), ownerName(h.Owner), quantity.About(h.GPU), h.Why)
	}
	return t.Write(b, p)
}

func offers(b *strings.Builder, p text.Palette, list []sched.Offer) {
	if len(list) == 0 {
		return
	}
	section(b, p, "What would help")
	for _, o := range list {
		b.WriteString("  • " + o.Message + "\n")
	}
}

// ownerName is an owner as people name it: "project vision".
func ownerName(owner string) string {
	kind, name, ok := strings.Cut(owner, "/")
	if !ok {
		return owner
	}
	return kind + " " + name
}
