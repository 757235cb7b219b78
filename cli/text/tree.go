package text

import (
	"io"
	"strings"
)

// Branch is a line of a tree with what hangs below it. Notes are further lines
// of the same branch.
type Branch struct {
	Text     string
	Notes    []string
	Children []Branch
}

// WriteTree prints the branches with lines that show what hangs where.
func WriteTree(w io.Writer, indent string, branches []Branch) error {
	var b strings.Builder
	writeBranches(&b, indent, branches)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeBranches(b *strings.Builder, indent string, branches []Branch) {
	for i, br := range branches {
		mark, below := "├─ ", "│  "
		if i == len(branches)-1 {
			mark, below = "└─ ", "   "
		}
		b.WriteString(indent + mark + br.Text + "\n")
		for _, n := range br.Notes {
			b.WriteString(strings.TrimRight(indent+below+n, " ") + "\n")
		}
		writeBranches(b, indent+below, br.Children)
	}
}
