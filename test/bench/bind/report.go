package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

func printTable(out io.Writer, s setting, results []Result) error {
	fmt.Fprintf(out, "%s: %d pods, %d nodes of %d GPUs\n", s.Mode, s.Pods, s.Nodes, s.GPUs)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "who\tpods/s\tof raw\tfirst\tall bound\twrites/pod\tCPU\tpods/CPU s\tmemory")
	var raw float64
	for _, r := range results {
		if r.Name == "raw" {
			raw = r.Rate
		}
	}
	for _, r := range results {
		ofRaw := "-"
		if raw > 0 {
			ofRaw = fmt.Sprintf("%.0f%%", 100*r.Rate/raw)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%v\t%v\t%.2f\t%v\t%.0f\t%d MiB\n", r.Name, r.Rate, ofRaw,
			r.First.Round(time.Millisecond), r.All.Round(time.Millisecond), r.total(),
			r.CPU.Round(100*time.Millisecond), float64(r.Pods)/r.CPU.Seconds(), r.MaxRSS>>20)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		var parts []string
		for _, what := range slices.Sorted(maps.Keys(r.Writes)) {
			parts = append(parts, fmt.Sprintf("%s %.2f", what, r.Writes[what]))
		}
		fmt.Fprintf(out, "writes per pod, %s: %s\n", r.Name, strings.Join(parts, ", "))
	}
	return nil
}
