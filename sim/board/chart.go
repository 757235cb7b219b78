package board

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Chart is lines over two axes.
type Chart struct {
	Title, X, Y string
	LogY        bool
	Series      []Series // in order of colours
}

// Series is one line.
type Series struct {
	Name   string
	Points [][2]float64 // in order of x
	Dots   bool         // mark each point
}

// The size of a chart, and of the part of it that has the lines.
const (
	width, height            = 760.0, 420.0
	left, right, top, bottom = 64.0, 640.0, 44.0, 368.0
	labelHeight              = 15.0
)

// style makes a chart readable on light and dark pages alike. Colours differ in
// lightness as well, and every line is named at its end.
const style = `<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 14px; font-weight: 600 }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.axis { stroke: #59636e; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.s0 { stroke: #0969da } .s1 { stroke: #cf222e } .s2 { stroke: #1a7f37 } .s3 { stroke: #9a6700 }
.s4 { stroke: #8250df } .s5 { stroke: #59636e } .s6 { stroke: #bf3989 } .s7 { stroke: #1b7c83 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.grid { stroke: #3d444d } .axis { stroke: #9198a1 }
.s0 { stroke: #4493f8 } .s1 { stroke: #f85149 } .s2 { stroke: #3fb950 } .s3 { stroke: #d29922 }
.s4 { stroke: #ab7df8 } .s5 { stroke: #9198a1 } .s6 { stroke: #db61a2 } .s7 { stroke: #39c5cf }
}
</style>
`

// colours is how many lines the style tells apart.
const colours = 8

// SVG returns the chart as an image.
func (c Chart) SVG() string {
	x := newAxis(c.values(0), left, right, false)
	y := newAxis(c.values(1), bottom, top, c.LogY)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" role="img" aria-label="%s">`+"\n%s",
		width, height, html.EscapeString(c.Title), style)
	label(&b, "title", left, 24, "start", c.Title)
	for _, t := range y.ticks {
		fmt.Fprintf(&b, `<path class="grid" d="M%g %.1fH%g"/>`+"\n", left, y.at(t), right)
		label(&b, "", left-8, y.at(t)+4, "end", number(t))
	}
	for _, t := range x.ticks {
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %gV%g"/>`+"\n", x.at(t), top, bottom)
		label(&b, "", x.at(t), bottom+18, "middle", number(t))
	}
	fmt.Fprintf(&b, `<path class="axis" d="M%g %gH%g"/>`+"\n", left, bottom, right)
	label(&b, "", (left+right)/2, height-12, "middle", c.X)
	fmt.Fprintf(&b, `<text transform="translate(16 %g) rotate(-90)" text-anchor="middle">%s</text>`+"\n",
		(top+bottom)/2, html.EscapeString(c.Y))
	for i, s := range c.Series {
		s.draw(&b, i%colours, x, y)
	}
	c.names(&b, x, y)
	b.WriteString("</svg>\n")
	return b.String()
}

func (s Series) draw(b *strings.Builder, colour int, x, y axis) {
	var path []string
	for _, p := range s.Points {
		path = append(path, fmt.Sprintf("%.1f %.1f", x.at(p[0]), y.at(p[1])))
		if s.Dots {
			fmt.Fprintf(b, `<circle class="line s%d" cx="%.1f" cy="%.1f" r="3"/>`+"\n", colour, x.at(p[0]), y.at(p[1]))
		}
	}
	fmt.Fprintf(b, `<path class="line s%d" d="M%s"/>`+"\n", colour, strings.Join(path, "L"))
}

// names writes the name of each line at the right, at the height of its end as
// far as there is room.
func (c Chart) names(b *strings.Builder, x, y axis) {
	type end struct {
		series int
		x, y   float64
	}
	var ends []end
	for i, s := range c.Series {
		last := s.Points[len(s.Points)-1]
		ends = append(ends, end{i, x.at(last[0]), y.at(last[1])})
	}
	slices.SortFunc(ends, func(a, b end) int { return int(math.Copysign(1, a.y-b.y)) })
	places := make([]float64, len(ends))
	for i, e := range ends {
		if places[i] = e.y; i > 0 {
			places[i] = math.Max(e.y, places[i-1]+labelHeight)
		}
	}
	for i, most := len(places)-1, bottom; i >= 0; i, most = i-1, places[i]-labelHeight {
		places[i] = math.Min(places[i], most)
	}
	for i, e := range ends {
		fmt.Fprintf(b, `<path class="line s%d" style="stroke-width:1;stroke-dasharray:2 3" d="M%.1f %.1fL%g %.1fh10"/>`+"\n",
			e.series%colours, e.x, e.y, right+8, places[i])
		label(b, "", right+22, places[i]+4, "start", c.Series[e.series].Name)
	}
}

func (c Chart) values(of int) []float64 {
	var out []float64
	for _, s := range c.Series {
		for _, p := range s.Points {
			out = append(out, p[of])
		}
	}
	return out
}

func label(b *strings.Builder, class string, x, y float64, anchor, text string) {
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n",
		class, x, y, anchor, html.EscapeString(text))
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// axis maps values to places.
type axis struct {
	from, to float64 // values
	at0, at1 float64 // places
	log      bool
	ticks    []float64
}

// newAxis spans values, from tick to tick.
func newAxis(values []float64, at0, at1 float64, log bool) axis {
	a := axis{at0: at0, at1: at1, log: log}
	low, high := slices.Min(values), slices.Max(values)
	if log {
		low = math.Pow(10, math.Floor(math.Log10(low)))
		high = math.Pow(10, math.Ceil(math.Log10(high)))
		for t := low; t <= high; t *= 10 {
			a.ticks = append(a.ticks, t)
		}
	} else {
		step := niceStep((high - low) / 8)
		low, high = step*math.Floor(low/step), step*math.Ceil(high/step)
		for i := range int(math.Round((high-low)/step)) + 1 {
			a.ticks = append(a.ticks, low+float64(i)*step)
		}
	}
	a.from, a.to = low, high
	return a
}

// niceStep is the least of 1, 2, 5, 10, 20 … that is no less than x.
func niceStep(x float64) float64 {
	for step := 1.0; ; step *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if step*m >= x {
				return step * m
			}
		}
	}
}

func (a axis) at(v float64) float64 {
	from, to := a.from, a.to
	if a.log {
		v, from, to = math.Log(v), math.Log(from), math.Log(to)
	}
	return a.at0 + (v-from)/(to-from)*(a.at1-a.at0)
}
