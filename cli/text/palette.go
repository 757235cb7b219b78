package text

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Paint is a role that a piece of text has, not a colour.
type Paint int

// The roles.
const (
	Plain Paint = iota
	Bold
	Dim
	Good
	Warn
	Bad
)

var codes = map[Paint]string{Bold: "1", Dim: "2", Good: "32", Warn: "33", Bad: "31"}

// Palette paints, or leaves text as it is. The zero Palette paints nothing.
type Palette struct{ on bool }

// Colours returns the palette for w: colours on a terminal only, and never
// when NO_COLOR is set (https://no-color.org) or the terminal is dumb.
func Colours(w io.Writer, getenv func(string) string) Palette {
	if getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" {
		return Palette{}
	}
	return Palette{on: IsTerminal(w)}
}

// Apply returns s in the paint.
func (p Palette) Apply(paint Paint, s string) string {
	code, ok := codes[paint]
	if !p.on || !ok || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Size returns the columns and rows of the terminal w, or 0, 0.
func Size(w io.Writer) (columns, rows int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, rows
}
