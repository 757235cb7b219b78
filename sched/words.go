package sched

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file turns numbers into the words of explanations.

func plural(n int, one, many string) string { return plural64(int64(n), one, many) }

func plural64(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatInt(n, 10) + " " + many
}

func havePlaces(pods int) string {
	if pods == 1 {
		return "its pod has its place"
	}
	return fmt.Sprintf("all %d pods have their places", pods)
}

// needed puts the verb behind a quantity: "1 GPU is", "2 GPUs are".
func needed(q string) string {
	if strings.HasPrefix(q, "1 ") && !strings.Contains(q, "×") {
		return q + " is"
	}
	return q + " are"
}

// ownerTitle reads "project/vision" as "project vision".
func ownerTitle(name string) string {
	if name == "" {
		return "(none)"
	}
	return strings.Replace(name, "/", " ", 1)
}

// quantity names an entry of an Amount.
func quantity(i int, v int64) string {
	switch i {
	case 0:
		return gpus(v)
	case 1:
		return milli(v) + " CPU"
	}
	return memory(v)
}

func gpus(micro int64) string {
	s := micros(micro)
	if s == "1" {
		return "1 GPU"
	}
	return s + " GPUs"
}

func micros(v int64) string { return trimmed(v, GPU, 6) }

func milli(v int64) string { return trimmed(v, 1000, 3) }

// trimmed writes v/unit exactly; unit is ten to the digits.
func trimmed(v, unit int64, digits int) string {
	if v%unit == 0 {
		return strconv.FormatInt(v/unit, 10)
	}
	return strings.TrimRight(fmt.Sprintf("%d.%0*d", v/unit, digits, v%unit), "0")
}

// memory writes bytes in the largest binary unit that is exact to a tenth.
func memory(v int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i, size := 0, int64(1)
	for i+1 < len(units) && v >= size*1024 {
		size *= 1024
		i++
	}
	tenths := v * 10 / size
	return trimmed(tenths, 10, 1) + " " + units[i]
}

// asked says what a whole workload asks for.
func (w *workload) asked() string {
	count := map[*shape]int{}
	var order []*shape
	for _, p := range w.sorted() {
		if count[p.shape] == 0 {
			order = append(order, p.shape)
		}
		count[p.shape]++
	}
	slices.SortStableFunc(order, func(a, b *shape) int { return cmp.Compare(b.size(), a.size()) })
	var parts []string
	for _, s := range order {
		parts = append(parts, plural(count[s], "pod", "pods")+" × "+s.describe())
	}
	return strings.Join(parts, " + ")
}

// describe says what one pod of s asks for.
func (s *shape) describe() string {
	var parts []string
	if s.ask.Devices > 0 {
		parts = append(parts, s.deviceAsk())
	}
	if s.ask.CPU > 0 {
		parts = append(parts, quantity(1, s.ask.CPU))
	}
	if s.ask.Memory > 0 {
		parts = append(parts, quantity(2, s.ask.Memory)+" memory")
	}
	for _, name := range s.ask.names() {
		parts = append(parts, fmt.Sprintf("%d %s", s.ask.Other[name], name))
	}
	if len(parts) == 0 {
		return "no resources"
	}
	return strings.Join(parts, ", ")
}

func (s *shape) deviceAsk() string {
	model := ""
	if len(s.ask.Models) > 0 {
		model = " (" + strings.Join(s.ask.Models, " or ") + ")"
	}
	if s.whole {
		return plural(s.ask.Devices, "GPU", "GPUs") + model
	}
	part := s.partText()
	if s.ask.Devices > 1 {
		return fmt.Sprintf("%s of each of %d GPUs%s", part, s.ask.Devices, model)
	}
	return part + " of a GPU" + model
}

func (s *shape) partText() string {
	p := s.ask.Part
	switch {
	case p.MemoryMiB > 0 && p.Fraction > 0:
		return fmt.Sprintf("%s memory and %s compute", memory(p.MemoryMiB<<20), micros(p.Fraction))
	case p.MemoryMiB > 0 && p.ComputeMilli > 0:
		return fmt.Sprintf("%s memory and %s compute", memory(p.MemoryMiB<<20), milli(p.ComputeMilli))
	case p.MemoryMiB > 0:
		return memory(p.MemoryMiB<<20) + " memory"
	}
	return micros(p.Fraction)
}

// askText says what a number of pods of s needs of devices.
func (s *shape) askText(pods int64) string {
	if pods == 1 {
		return s.deviceAsk()
	}
	return fmt.Sprintf("%d × %s", pods, s.deviceAsk())
}

// unitsText names a number of devices, or parts, that fit one of s.
func (s *shape) unitsText(n int64) string {
	if s.whole {
		return plural64(n, "whole GPU", "whole GPUs")
	}
	return plural64(n, "part", "parts") + " of that size"
}

func (s *shape) deviceTitle() string {
	if len(s.ask.Models) == 0 {
		if s.ask.Part.MemoryMiB > 0 {
			return "a shareable GPU with " + memory(s.ask.Part.MemoryMiB<<20)
		}
		return "a GPU of the needed size"
	}
	return "a GPU of model " + strings.Join(s.ask.Models, " or ")
}

// until reads "for another 90 s, until 2026-11-22 12:05:00 UTC".
func (e *Engine) until(t Time) string {
	return fmt.Sprintf("for another %d s, until %s", (t-e.now+999)/1000,
		time.UnixMilli(int64(t)).UTC().Format("2006-01-02 15:04:05 UTC"))
}

// models lists the models of a pool's devices.
func (e *Engine) models(p *pool) string {
	var names []string
	for _, c := range p.classes {
		names = append(names, e.classes[c].model)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return "no GPUs"
	}
	return strings.Join(names, ", ")
}
