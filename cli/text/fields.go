package text

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Fields is a list of names with values, printed with the values aligned.
// Fields without a value are left out.
type Fields struct {
	Indent string
	pairs  [][2]string
}

// Add appends a field.
func (f *Fields) Add(name, value string) { f.pairs = append(f.pairs, [2]string{name, value}) }

// Write prints the fields. Lines of a value after the first are aligned with
// the first.
func (f *Fields) Write(w io.Writer, p Palette) error {
	width := 0
	for _, kv := range f.pairs {
		if kv[1] != "" {
			width = max(width, utf8.RuneCountInString(kv[0]))
		}
	}
	var b strings.Builder
	for _, kv := range f.pairs {
		if kv[1] == "" {
			continue
		}
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(kv[0])+2)
		value := strings.ReplaceAll(kv[1], "\n", "\n"+f.Indent+strings.Repeat(" ", width+2))
		b.WriteString(f.Indent + p.Apply(Bold, kv[0]) + pad + value + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Bar draws a bar of width cells of which part of whole is filled.
func Bar(part, whole int64, width int) string {
	n := 0
	if whole > 0 {
		n = int((part*int64(width) + whole/2) / whole)
	}
	n = min(max(n, 0), width)
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}
