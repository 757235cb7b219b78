package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-gpu/weir/sched"
)

// cursor reads the words of a line one after the other.
type cursor struct {
	line
	at int
}

func (c *cursor) more() bool { return c.at < len(c.words) }

// next returns the next word; what says what it should be.
func (c *cursor) next(what string) (string, error) {
	if !c.more() {
		return "", fmt.Errorf("%s is missing at the end", what)
	}
	c.at++
	return c.words[c.at-1], nil
}

// peek reports whether the next word is w, and if so skips it.
func (c *cursor) peek(w string) bool {
	if c.more() && c.words[c.at] == w {
		c.at++
		return true
	}
	return false
}

// expect skips the word w.
func (c *cursor) expect(w string) error {
	if c.peek(w) {
		return nil
	}
	if !c.more() {
		return fmt.Errorf("%q is missing at the end", w)
	}
	return fmt.Errorf("%q should be %q", c.words[c.at], w)
}

func (c *cursor) int(what string) (int, error) {
	w, err := c.next(what)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(w)
	if err != nil {
		return 0, fmt.Errorf("%s %q should be a whole number", what, w)
	}
	return n, nil
}

// options are the words that may follow in any order. Each reads its own value.
type options map[string]func(c *cursor) error

// read reads options up to the end of the line.
func (o options) read(c *cursor) error {
	for c.more() {
		w, _ := c.next("")
		read, ok := o[w]
		if !ok {
			return fmt.Errorf("%q is not known here; known are %s", w, strings.Join(slices.Sorted(maps.Keys(o)), ", "))
		}
		if err := read(c); err != nil {
			return err
		}
	}
	return nil
}

// value returns an option that parses its value with f.
func value[V any](into *V, f func(string) (V, error)) func(*cursor) error {
	return func(c *cursor) error {
		name := c.words[c.at-1]
		w, err := c.next("the value of " + name)
		if err != nil {
			return err
		}
		v, err := f(w)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		*into = v
		return nil
	}
}

// flag returns an option that has no value.
func flag(into *bool) func(*cursor) error {
	return func(*cursor) error { *into = true; return nil }
}

func text(s string) (string, error) { return s, nil }

func list(s string) ([]string, error) { return strings.Split(s, ","), nil }

func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q should be a whole number", s)
	}
	return n, nil
}

func number64(s string) (int64, error) { n, err := number(s); return int64(n), err }

func number32(s string) (int32, error) { n, err := number(s); return int32(n), err }

func yesNo(s string) (bool, error) {
	if s != "yes" && s != "no" {
		return false, fmt.Errorf("%q should be yes or no", s)
	}
	return s == "yes", nil
}

// scaled reads a decimal number exactly, in units of 1/scale (a power of ten).
func scaled(s string, scale int64) (int64, error) {
	whole, frac, _ := strings.Cut(s, ".")
	digits := len(strconv.FormatInt(scale, 10)) - 1
	if len(frac) > digits {
		return 0, fmt.Errorf("%q has more than %d digits after the point", s, digits)
	}
	n, err := strconv.ParseInt(whole+frac+strings.Repeat("0", digits-len(frac)), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q should be a number such as 2 or 0.5", s)
	}
	return n, nil
}

func gpus(s string) (int64, error) {
	return unboundedOr(s, func() (int64, error) { return scaled(s, sched.GPU) })
}
func cpus(s string) (int64, error) {
	return unboundedOr(s, func() (int64, error) { return scaled(s, 1000) })
}
func bytes(s string) (int64, error) {
	return unboundedOr(s, func() (int64, error) { return size(s, 1) })
}
func milli(s string) (int64, error) { return scaled(s, 1000) }
func mib(s string) (int64, error)   { return size(s, 1<<20) }

func unboundedOr(s string, f func() (int64, error)) (int64, error) {
	if s == "unbounded" {
		return sched.Unbounded, nil
	}
	return f()
}

// size reads 512GiB or 100MiB in units.
func size(s string, unit int64) (int64, error) {
	for suffix, bytes := range map[string]int64{"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			v, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%q should be a size such as 80GiB or 500MiB", s)
			}
			return v * bytes / unit, nil
		}
	}
	return 0, fmt.Errorf("%q should be a size such as 80GiB or 500MiB", s)
}

// span reads 90s or 10m in milliseconds.
func span(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q should be a time such as 90s or 10m", s)
	}
	return d.Milliseconds(), nil
}
