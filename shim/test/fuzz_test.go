package test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/shim/build"
)

var (
	fuzzSeed = flag.Int("seed", 1, "the first of the sequences of calls that are tried")
	fuzzRuns = flag.Int("sequences", 0, "how many are; 0: a few")
)

// TestSameAnswersAsTheDriver calls the driver in ways that are often wrong, with the
// shim before it and without: it answers the same, and has the same memory left.
func TestSameAnswersAsTheDriver(t *testing.T) {
	for _, c := range []struct {
		name, how string
		in        container
	}{
		{"nobody", "wild", container{}},
		{"free", "wild", container{"one", 80 << 30, 1000, "free,2"}},
		{"leases", "wild", container{"one", 80 << 30, 1000, "fair,2"}},
		{"views", "views", container{"one", 80 << 30, 1000, "free,2"}},
		{"swappable", "tame", container{"one", 512 * MiB, 1000, "free,2,arena"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			everyBuild(t, func(t *testing.T, check build.Check) {
				runs, steps := 6, 1200
				switch check {
				case build.Address:
					runs = 3
				case build.Thread:
					runs, steps = 1, 150 // each mapping of memory takes long there
				}
				if *fuzzRuns > 0 {
					runs = *fuzzRuns
				}
				w := newWorld(t, check)
				if c.in.name != "" {
					w.agent(c.in)
				}
				for seed := *fuzzSeed; seed < *fuzzSeed+runs; seed++ {
					w.sameAnswers(c.how, seed, steps)
				}
			})
		})
	}
}

// sameAnswers runs one sequence twice, and compares.
func (w *world) sameAnswers(how string, seed, steps int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ask := func(libraries string) []string {
		p := w.process(ctx, "one", "fuzz_test", fmt.Sprint(seed), fmt.Sprint(steps), how)
		p.cmd.Env = append(p.cmd.Env, "WEIR_SIM_DEVICES=2x80GiB", "LD_LIBRARY_PATH="+libraries)
		w.begin(p)
		return strings.Split(w.wait(p), "\n")
	}
	without, with := ask(w.driver()), ask(w.build)
	for i := range min(len(without), len(with)) {
		if without[i] != with[i] {
			w.t.Errorf("sequence %d, %s: the driver says\n%s\nand the shim\n%s", seed, how,
				strings.Join(without[max(0, i-2):i+1], "\n"), strings.Join(with[max(0, i-2):i+1], "\n"))
			return
		}
	}
	if len(with) != len(without) || len(with) < steps/2 {
		w.t.Errorf("sequence %d, %s: %d answers of the driver, %d of the shim", seed, how, len(without), len(with))
	}
}
