package board

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// Page writes docs/scoreboard.md and its charts from what is there: what was
// not run is not shown.
func Page(r Results, docs string) error {
	p := &page{results: r}
	for _, section := range []func(*page){head, headlines, packing, variants, moving, bounds, sharing, tenants, growth} {
		section(p)
	}
	if err := os.WriteFile(filepath.Join(docs, "scoreboard.md"), []byte(p.text.String()), 0o644); err != nil {
		return err
	}
	for _, c := range p.charts {
		if err := os.WriteFile(filepath.Join(docs, "scoreboard", c.file+".svg"), []byte(c.SVG()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// page is a page that is being written.
type page struct {
	results Results
	text    strings.Builder
	charts  []filed
}

type filed struct {
	Chart
	file string
}

// write adds a paragraph.
func (p *page) write(text string) { p.text.WriteString(text + "\n\n") }

func (p *page) writef(text string, args ...any) { p.write(fmt.Sprintf(text, args...)) }

// table adds a table, unless it is empty. The first column is text, others are
// numbers, except those whose head begins with a blank.
func (p *page) table(head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	rule := make([]string, len(head))
	for i := range head {
		if rule[i] = "--:"; i == 0 || strings.HasPrefix(head[i], " ") {
			rule[i] = "---"
		}
		head[i] = strings.TrimSpace(head[i])
	}
	for _, row := range append([][]string{head, rule}, rows...) {
		p.text.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	p.text.WriteString("\n")
}

// chart adds a chart with at least one line.
func (p *page) chart(file string, c Chart) {
	if len(c.Series) == 0 {
		return
	}
	p.charts = append(p.charts, filed{c, file})
	p.writef("![%s](scoreboard/%s.svg)", c.Title, file)
}

// packed returns the result of a packing, nil if there is none.
func (p *page) packed(of Packing) *Packed { return p.results[of.name()].Pack }

func two(x float64) string { return fmt.Sprintf("%.2f", x) }

// meanOf prints a mean and how far values lie apart.
func meanOf(of []float64) string {
	mean, sd := stats(of)
	return fmt.Sprintf("%.2f ± %.2f", mean, sd)
}

// orNone prints a published figure, if there is one.
func orNone(x float64) string {
	if x == 0 {
		return ""
	}
	return two(x)
}

func signed(x float64) string {
	if math.Abs(x) < 0.005 {
		return "0.00"
	}
	return fmt.Sprintf("%+.2f", x)
}
