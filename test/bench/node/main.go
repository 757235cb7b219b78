// Command node measures how exactly programs share a GPU of one machine, a
// simulated one unless told otherwise: it starts an agent, and programs under
// weir run that launch kernels of known length as fast as they may, and prints
// what each had of the device's time beside what it was to have.
//
//	make bench-node
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	shim "github.com/weir-gpu/weir/shim/build"
)

var (
	weir    = flag.String("weir", "bin/weir", "the program, with shim and sim beside it")
	burn    = flag.String("burn", "", "the program that burns, where it was built before")
	real    = flag.Bool("real", false, "share the machine's own GPU, not a simulated one")
	seconds = flag.Float64("seconds", 10, "length of each run")
	only    = flag.String("only", "", "only the scenarios whose name matches")
)

// job is one program.
type job struct {
	run  string  // flags of weir run
	burn string  // arguments of burn, %s is the length
	low  float64 // what it is to have, in per cent; no bound where high is 0
	high float64
	late float64 // how late the first launch after a rest may be done, in milliseconds; 0: no bound
}

type scenario struct {
	name string
	sum  float64 // what they are to have together, at least
	jobs []job
}

func strict(share, burn string, low, high float64) job {
	return job{run: "--mode strict --gpu " + share, burn: burn, low: low, high: high}
}

func fair(share, burn string, low, high float64) job {
	return job{run: "--mode fair --gpu " + share, burn: burn, low: low, high: high}
}

func several(n int, j job) (jobs []job) {
	for range n {
		jobs = append(jobs, j)
	}
	return jobs
}

// scenarios are those of the project's bars.
var scenarios = []scenario{
	{"strict 30, kernels of 0.1 ms", 0, []job{strict("0.3", "100 %s", 29, 31)}},
	{"strict 30, kernels of 1 ms", 0, []job{strict("0.3", "1000 %s", 29, 31)}},
	{"strict 30, kernels of 20 ms", 0, []job{strict("0.3", "20000 %s", 29, 31)}},
	{"strict 30, kernels of 50 ms", 0, []job{strict("0.3", "50000 %s", 29, 31)}},
	{"strict 30, graphs of ten 1 ms kernels", 0, []job{strict("0.3", "1000 %s graph", 29, 31)}},
	{"strict 30, cooperative", 0, []job{strict("0.3", "1000 %s cooperative", 29, 31)}},
	{"strict 30, cuLaunchKernelEx", 0, []job{strict("0.3", "1000 %s ex", 29, 31)}},
	{"two of 30 and 70, 1 ms", 0, []job{fair("0.3", "1000 %s", 28.5, 31.5), fair("0.7", "1000 %s", 68.5, 71.5)}},
	{"two of 30 and 70, 20 and 1 ms", 0, []job{fair("0.3", "20000 %s", 28.5, 31.5), fair("0.7", "1000 %s", 68.5, 71.5)}},
	{"two strict of 30 and 70, 20 and 1 ms", 0,
		[]job{strict("0.3", "20000 %s", 28.5, 31.5), strict("0.7", "1000 %s", 68.5, 71.5)}},
	{"eight of 12.5", 97, several(8, fair("0.125", "1000 %s", 12, 13))},
	{"sixteen of 6.25", 0, several(16, fair("0.062", "1000 %s", 5.5, 7))},
	{"fair 30 alone", 0, []job{fair("0.3", "1000 %s", 97, 101)}},
	{"a higher priority in bursts", 0, []job{fair("0.5", "5000 %s", 0, 0),
		{run: "--gpu 0.5 --priority 1", burn: "5000 %s - 100 400", late: 100}}},
}

// result is what a program says.
type result struct {
	Kernels      int64   `json:"kernels"`
	Share        float64 `json:"share"`
	LongestFirst float64 `json:"longestFirst"`
}

func main() {
	flag.Parse()
	if err := measure(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context) error {
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *burn == "" {
		if *burn, err = build(dir); err != nil {
			return err
		}
	}
	stop, err := start(dir)
	if err != nil {
		return err
	}
	defer stop()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer out.Flush()
	fmt.Fprintln(out, "scenario\thad\tto have\t")
	missed := 0
	for _, s := range scenarios {
		if !pattern.MatchString(s.name) {
			continue
		}
		results, err := s.play(ctx, dir, *burn)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		missed += s.print(out, results)
		out.Flush()
	}
	if missed > 0 {
		return fmt.Errorf("%d bars missed", missed)
	}
	return nil
}

// build compiles the program that burns.
func build(dir string) (string, error) {
	burn := filepath.Join(dir, "burn")
	sim, err := filepath.Abs(filepath.Join(filepath.Dir(*weir), "sim", "libcuda.so.1"))
	if err != nil {
		return "", err
	}
	if err := shim.Program(burn, shim.Plain, []string{sim}, "../test/machine/program/burn.c"); err != nil {
		return "", fmt.Errorf("building burn: %w", err)
	}
	return burn, nil
}

// start starts an agent, and waits until it answers.
func start(dir string) (stop func(), err error) {
	args := []string{"agent", "--dir", dir, "--log-level", "warn"}
	if !*real {
		args = append(args, "--simulate", "1x80GiB")
	}
	cmd := exec.Command(*weir, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "agent.sock")); err == nil {
			return stop, nil
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("the agent ended: %s", cmd.ProcessState)
		default:
		}
	}
	stop()
	return nil, fmt.Errorf("the agent does not answer")
}

// play runs the programs of a scenario beside each other.
func (s *scenario) play(ctx context.Context, dir, burn string) ([]result, error) {
	results, errs := make([]result, len(s.jobs)), make([]error, len(s.jobs))
	var all sync.WaitGroup
	for i, j := range s.jobs {
		args := append([]string{"run", "--dir", dir, "--gpu-memory", "1Gi", "--wait", "5s"}, strings.Fields(j.run)...)
		args = append(append(args, "--", burn), strings.Fields(fmt.Sprintf(j.burn, fmt.Sprint(*seconds)))...)
		all.Go(func() {
			var out, said bytes.Buffer
			cmd := exec.CommandContext(ctx, *weir, args...)
			cmd.Stdout, cmd.Stderr = &out, &said
			if err := cmd.Run(); err != nil {
				errs[i] = fmt.Errorf("%w: %s", err, said.String())
				return
			}
			errs[i] = json.Unmarshal(out.Bytes(), &results[i])
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return results, nil
}

// print writes a line for each program, and returns how many bars were missed.
func (s *scenario) print(w *tabwriter.Writer, results []result) (missed int) {
	verdict := func(ok bool) string {
		if ok {
			return ""
		}
		missed++
		return "MISSED"
	}
	sum := 0.0
	for i, j := range s.jobs {
		r, name := results[i], s.name
		if i > 0 {
			name = ""
		}
		sum += r.Share
		switch {
		case j.high > 0:
			fmt.Fprintf(w, "%s\t%.2f%%\t%g to %g\t%s\n", name, r.Share, j.low, j.high, verdict(r.Share >= j.low && r.Share <= j.high))
		case j.late > 0:
			fmt.Fprintf(w, "%s\t%.2f%%, first done after %.1f ms\t%g ms\t%s\n", name, r.Share, r.LongestFirst, j.late,
				verdict(r.LongestFirst <= j.late))
		default:
			fmt.Fprintf(w, "%s\t%.2f%%\t\t\n", name, r.Share)
		}
	}
	if s.sum > 0 {
		fmt.Fprintf(w, "\tsum %.2f%%\t%g or more\t%s\n", sum, s.sum, verdict(sum >= s.sum))
	}
	return missed
}
