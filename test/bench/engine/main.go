// Command engine measures the decision engine on the cases for which other
// schedulers' figures are known, and holds it to its bars:
//
//	go run ./test/bench/engine [-o table|json] [-check] [-run REGEXP]
//
// Everything that a decision costs is counted: being told of what arrived,
// deciding, and being told of what left. Building the cluster beforehand is
// not. Every decision is verified by a count of its own, outside the clock.
// It runs on one processor, and counts that processor's time, collection of
// garbage included, so that a busy machine does not blur it. With -check it
// exits with 1 when a bar is missed.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"text/tabwriter"
)

// Result is one line of the table.
type Result struct {
	Case   string  `json:"case"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Bar    float64 `json:"bar,omitempty"` // at most; 0 is no bar
	Missed bool    `json:"missed,omitempty"`
	Other  string  `json:"other,omitempty"` // what is known of others
	Note   string  `json:"note,omitempty"`
}

func main() {
	output := flag.String("o", "table", "output: table or json")
	check := flag.Bool("check", false, "exit with 1 when a bar is missed")
	run := flag.String("run", ".", "run only the cases whose name matches this regular expression")
	profile := flag.String("cpuprofile", "", "write a processor profile to this file")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "engine:", err)
			os.Exit(1)
		}
	}
	missed, err := bench(os.Stdout, *output, *run)
	pprof.StopCPUProfile()
	if err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
	if missed && *check {
		os.Exit(1)
	}
}

func bench(w io.Writer, output, run string) (missed bool, err error) {
	only, err := regexp.Compile(run)
	if err != nil {
		return false, fmt.Errorf("-run %q is not a regular expression: %w", run, err)
	}
	if output != "table" && output != "json" {
		return false, fmt.Errorf("-o %q is not known; use table or json", output)
	}
	runtime.GOMAXPROCS(1)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300) // as weir scheduler and weir up run
	}
	var results []Result
	for _, c := range cases {
		if !only.MatchString(c.name) {
			continue
		}
		runtime.GC()
		rs, err := c.run()
		if err != nil {
			return false, fmt.Errorf("%s: %w", c.name, err)
		}
		for _, r := range rs {
			r.Missed = r.Bar > 0 && r.Value > r.Bar
			missed = missed || r.Missed
			results = append(results, r)
		}
	}
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return missed, enc.Encode(results)
	}
	return missed, table(w, results)
}

func table(w io.Writer, results []Result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "CASE\tMEASURED\tBAR\t\tOTHERS\tNOTE")
	for _, r := range results {
		bar, verdict := "-", ""
		if r.Bar > 0 {
			bar, verdict = fmt.Sprintf("%.4g %s", r.Bar, r.Unit), fmt.Sprintf("ok (%.2f of it)", r.Value/r.Bar)
			if r.Missed {
				verdict = fmt.Sprintf("MISSED (%.2f of it)", r.Value/r.Bar)
			}
		}
		fmt.Fprintf(tw, "%s\t%.4g %s\t%s\t%s\t%s\t%s\n", r.Case, r.Value, r.Unit, bar, verdict, r.Other, r.Note)
	}
	return tw.Flush()
}
