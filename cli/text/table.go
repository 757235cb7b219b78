package text

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Column is one column of a [Table]. Numbers are Right aligned.
type Column struct {
	Name  string
	Right bool
}

// Columns makes columns from names; a name that starts with ">" is aligned to
// the right.
func Columns(names ...string) []Column {
	cols := make([]Column, len(names))
	for i, n := range names {
		name, right := strings.CutPrefix(n, ">")
		cols[i] = Column{Name: name, Right: right}
	}
	return cols
}

// Cell is the text at one place of a table and how it is painted.
type Cell struct {
	Text  string
	Paint Paint
}

// Table is rows under columns. Its widths follow what is in it.
type Table struct {
	Columns   []Column
	Indent    string // before every line
	NoHeaders bool
	rows      [][]Cell
}

// NewTable returns an empty table; see [Columns] for the names.
func NewTable(names ...string) *Table { return &Table{Columns: Columns(names...)} }

// Add appends a row of plain cells.
func (t *Table) Add(cells ...string) {
	row := make([]Cell, len(cells))
	for i, c := range cells {
		row[i] = Cell{Text: c}
	}
	t.rows = append(t.rows, row)
}

// AddCells appends a row of painted cells.
func (t *Table) AddCells(cells ...Cell) { t.rows = append(t.rows, cells) }

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Write prints the table. Empty cells are shown as "-", so that every line has
// the same number of fields.
func (t *Table) Write(w io.Writer, p Palette) error {
	widths := t.widths()
	var b strings.Builder
	head := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = Cell{Text: c.Name, Paint: Bold}
	}
	if !t.NoHeaders {
		t.line(&b, head, widths, p)
	}
	for _, row := range t.rows {
		t.line(&b, row, widths, p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) widths() []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = utf8.RuneCountInString(c.Name)
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(shown(c.Text)))
		}
	}
	return widths
}

// line writes one row. The last column is not padded: lines have no trailing
// spaces.
func (t *Table) line(b *strings.Builder, row []Cell, widths []int, p Palette) {
	b.WriteString(t.Indent)
	for i, c := range row {
		s := shown(c.Text)
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(s))
		if t.Columns[i].Right {
			b.WriteString(pad)
		}
		b.WriteString(p.Apply(c.Paint, s))
		if i == len(row)-1 {
			break
		}
		if !t.Columns[i].Right {
			b.WriteString(pad)
		}
		b.WriteString("  ")
	}
	b.WriteByte('\n')
}

// shown is the text of a cell: one line, never empty.
func shown(s string) string {
	if s == "" {
		return "-"
	}
	return strings.ReplaceAll(s, "\n", " ")
}
