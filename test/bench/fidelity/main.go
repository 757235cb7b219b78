// Command fidelity plays a slice of the Philly trace in compressed time, once in
// the simulator and once in an embedded cluster with simulated nodes, and
// compares how long jobs waited. It fails when the mean waits differ by more
// than -within.
//
//	go run ./test/bench/fidelity
//
// Both have the same jobs, the same pool and the same quotas: more work than
// there are GPUs, several tenants, and what is lent is taken back. A job of n
// GPUs is a gang of n pods. A job's wait is its end less its due submission and
// its run time, so what is done anew counts, and so does whatever is late.
//
// In the simulator nothing takes time but the jobs. In a cluster a job starts
// some tens of milliseconds after it could: it is submitted, watched, bound, and
// its end is watched again. How much that shows depends on how fast the trace is
// played. The default plays an hour in 5.6 s, in which a mean wait is about 20 s;
// 60 ms a job would show as 1%, which jobs that queue behind each other pass on.
// On a machine that has other things to do, compress less. The slice is one of
// steady congestion. There are others in which two jobs end within milliseconds
// of each other and all that follows depends on which was first; there, the mean
// wait of the simulator alone changes by ten per cent when every job runs 50 ms
// longer, and a comparison says nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"text/tabwriter"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/weir-gpu/weir/sim/replay"
)

func main() {
	c := defaults
	flag.StringVar(&c.From, "from", c.From, "day of the trace to begin with")
	flag.IntVar(&c.Jobs, "jobs", c.Jobs, "jobs to play")
	flag.DurationVar(&c.Longest, "longest", c.Longest, "leave out jobs that ran longer")
	flag.Int64Var(&c.GPUs, "gpus", c.GPUs, "GPUs of the pool")
	flag.IntVar(&c.PerNode, "gpus-per-node", c.PerNode, "GPUs of a node")
	flag.Float64Var(&c.Compress, "compress", c.Compress, "seconds of the trace to one of the run")
	flag.StringVar(&c.Log, "log", "", "file to write the scheduler's log to")
	within := flag.Float64("within", 3, "by how many per cent mean waits may differ")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c, *within); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

var defaults = cut{
	From: "2017-10-16", Jobs: 300, Longest: 12 * time.Hour, GPUs: 24, PerNode: 8, Compress: 645,
}

func run(ctx context.Context, c cut, within float64) error {
	if c.Jobs < 1 || c.Compress <= 0 || c.PerNode < 1 || c.GPUs < 1 || c.GPUs%int64(c.PerNode) != 0 {
		return errors.New("-jobs, -compress and -gpus-per-node have to be above 0, and -gpus a multiple of the latter")
	}
	debug.SetGCPercent(300) // as weir up does: an API server makes much garbage and keeps little
	r, err := compare(ctx, c, func(done int) { fmt.Fprintf(os.Stderr, "\r%d of %d jobs are done", done, c.Jobs) })
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return err
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if d := r.difference(); math.IsNaN(d) || math.Abs(d) > within {
		return fmt.Errorf("the mean waits differ by %+.2f%%, and %.2f%% are allowed", d, within)
	}
	return nil
}

// result is what became of the same jobs, twice.
type result struct {
	simulated *replay.Result
	waits     map[string][]float64 // in the cluster, by tenant, in seconds
	evictions map[string]int       // in the cluster, by tenant
	took      time.Duration
}

// compare plays the jobs in the simulator, and in a cluster.
func compare(ctx context.Context, c cut, ended func(int)) (*result, error) {
	jobs, err := c.slice(time.Unix(1_800_000_000, 0))
	if err != nil {
		return nil, err
	}
	plan := c.plan(jobs)
	r := &result{waits: map[string][]float64{}, evictions: map[string]int{}}
	if r.simulated, err = replay.Run(ctx, jobs, plan, replay.Options{}); err != nil {
		return nil, err
	}
	return r, inCluster(ctx, plan, c.Log, func(ctx context.Context, kube kubernetes.Interface) error {
		p := newPlayer(kube, jobs)
		err := p.play(ctx, ended)
		r.took = time.Since(p.begin)
		for _, j := range p.jobs {
			r.waits[j.Tenant] = append(r.waits[j.Tenant], j.wait().Seconds())
			r.evictions[j.Tenant] += j.stopped
		}
		return err
	})
}

// difference is by how many per cent the mean wait in the cluster is above the
// simulated one.
func (r *result) difference() float64 {
	var all []float64
	for _, waits := range r.waits {
		all = append(all, waits...)
	}
	return above(mean(all), r.simulated.Wait.Mean)
}

func above(x, y float64) float64 { return 100 * (x - y) / y }

func mean(all []float64) (sum float64) {
	for _, x := range all {
		sum += x
	}
	return sum / float64(len(all))
}

// print writes down all waits.
func (r *result) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "tenant\tquota\tjobs\tmean wait simulated\tin the cluster\tdifference\tstopped simulated\tin the cluster\t")
	var all []float64
	stopped := 0
	for _, t := range r.simulated.Tenants {
		waits := r.waits[t.Name]
		all = append(all, waits...)
		stopped += r.evictions[t.Name]
		fmt.Fprintf(w, "%s\t%d\t%d\t%.2f s\t%.2f s\t%+.2f s\t%d\t%d\t\n",
			t.Name, t.Quota, t.Jobs, t.Wait.Mean, mean(waits), mean(waits)-t.Wait.Mean, t.Evictions, r.evictions[t.Name])
	}
	fmt.Fprintf(w, "all\t\t%d\t%.2f s\t%.2f s\t%+.2f%%\t%d\t%d\t\n",
		r.simulated.Jobs, r.simulated.Wait.Mean, mean(all), r.difference(), r.simulated.Evictions, stopped)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nThe run took %s.\n", r.took.Round(time.Second))
	return err
}
