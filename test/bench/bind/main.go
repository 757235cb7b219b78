// Command bind measures how fast pods get their nodes on a fresh embedded
// cluster: by a plain client that only binds (the ceiling), by kube-scheduler
// and by Weir, one after the other, each in a process and a cluster of its own.
//
//	go run ./test/bench/bind -mode whole     # 4,000 one-GPU pods on 500 count nodes of 8 GPUs
//	go run ./test/bench/bind -mode half      # 4,000 half-GPU pods through claims
//	go run ./test/bench/bind -mode reclaim   # 400 pods arrive in a cluster full of over-quota work
//
// API server, scheduler and this program share one process and its cores, so
// only the ratios mean something on another machine.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"
)

// setting is what a run is asked to do.
type setting struct {
	Mode    string
	Nodes   int
	GPUs    int
	Pods    int
	Fsync   bool
	Timeout time.Duration
	Profile string // directory for CPU profiles; "" writes none
}

func main() {
	var s setting
	flag.StringVar(&s.Mode, "mode", "whole", "whole, half or reclaim")
	flag.IntVar(&s.Nodes, "nodes", 500, "nodes")
	flag.IntVar(&s.GPUs, "gpus", 8, "GPUs of each node")
	flag.IntVar(&s.Pods, "pods", 0, "pods to bind; 0 is 4000, and 400 with -mode reclaim")
	flag.BoolVar(&s.Fsync, "fsync", true, "let etcd wait for the disk")
	flag.DurationVar(&s.Timeout, "timeout", 3*time.Minute, "how long one scheduler may take")
	flag.StringVar(&s.Profile, "profile", "", "directory to write a CPU profile of each measurement to")
	with := flag.String("with", "", "who binds, in order: raw, kube, weir; default all that can")
	format := flag.String("o", "table", "table or json")
	one := flag.Bool("one", false, "measure the one given by -with in this process")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s, *with, *format, *one); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s setting, with, format string, one bool) error {
	w, ok := works[s.Mode]
	if !ok {
		return fmt.Errorf("mode %q is not known: use whole, half or reclaim", s.Mode)
	}
	if s.Pods == 0 {
		s.Pods = w.pods
	}
	if with == "" {
		with = w.with
	}
	if one {
		result, err := measure(ctx, s, w, with)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	var results []Result
	var failed []string
	for _, name := range strings.Split(with, ",") {
		if _, ok := subjects[name]; !ok {
			return fmt.Errorf("%q does not bind: use raw, kube or weir", name)
		}
		fmt.Fprintf(os.Stderr, "measuring %s …\n", name)
		r, err := inChild(ctx, s, name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s did not make it: %v\n", name, err)
			failed = append(failed, name)
			continue
		}
		results = append(results, r)
	}
	if err := report(s, results, format); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("no result for %s", strings.Join(failed, ", "))
	}
	return nil
}

func report(s setting, results []Result, format string) error {
	if format == "json" {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(map[string]any{"setting": s, "results": results})
	}
	return printTable(os.Stdout, s, results)
}

// inChild measures one scheduler in a process of its own, so that none finds
// the caches, the garbage or the global state of another.
func inChild(ctx context.Context, s setting, name string) (Result, error) {
	cmd := exec.CommandContext(ctx, os.Args[0], "-one", "-with", name, "-mode", s.Mode,
		"-nodes", fmt.Sprint(s.Nodes), "-gpus", fmt.Sprint(s.GPUs), "-pods", fmt.Sprint(s.Pods),
		"-fsync="+fmt.Sprint(s.Fsync), "-timeout", s.Timeout.String(), "-profile", s.Profile)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return Result{}, err
	}
	var r Result
	return r, json.Unmarshal(out.Bytes(), &r)
}
