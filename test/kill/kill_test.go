// Package kill kills the scheduler, and takes the API server away from it, in
// the middle of a burst of mixed pods. All the while the API is watched:
// nothing may be granted beyond what there is, and in the end every pod has
// its node and its devices, once.
//
// The scheduler that is killed runs as a process of its own against an
// embedded cluster, is ended by SIGKILL at random moments, and is started
// again at once. The API server is stopped and started where it was, or is
// reached over a line that loses, delays and refuses requests and cuts watches.
//
//	go test ./test/kill -v                                         # 300 pods, 6 kills
//	go test ./test/kill -v -timeout 30m -args -pods 2000 -kills 20 # the full size
//
// What is judged is what the API shows, not what the scheduler says or logs.
package kill

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

var (
	pods  = flag.Int("pods", 300, "how many pods the burst has")
	kills = flag.Int("kills", 6, "how often the scheduler is killed")
	seed  = flag.Uint64("seed", 0, "of the moments of the kills; 0 draws one")
	wait  = flag.Duration("wait", 5*time.Minute, "how long anything may take")
	logs  = flag.Bool("logs", false, "show the schedulers' logs")
)

// TestMain is the scheduler where it is started as one.
func TestMain(m *testing.M) {
	if kubeconfig := os.Getenv(childEnv); kubeconfig != "" {
		if err := schedule(kubeconfig); err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestSchedulerKilledInABurst(t *testing.T) {
	ctx := longTest(t)
	b := newBurst(*pods)
	p := startPlant(ctx, t, b)
	g := p.guard(ctx, t)
	began := time.Now()
	submitted := make(chan error, 1)
	go func() { submitted <- b.submit(ctx, p.kube) }()

	k := &killer{kubeconfig: p.kubeconfig, logs: *logs, guard: g, random: rand.New(rand.NewPCG(*seed, 0))}
	if err := k.run(ctx, b.pods, *kills); err != nil {
		t.Fatal(err)
	}
	defer k.stop()
	finish(ctx, t, p, g, submitted)
	t.Logf("%d pods bound in %s through %d kills, %d of them with pods waiting",
		b.pods, time.Since(began).Round(time.Millisecond), *kills, k.hurt)
	if k.hurt < *kills/2 {
		t.Errorf("only %d of %d kills fell into the burst: make it larger with -pods", k.hurt, *kills)
	}
}

// longTest bounds a test that starts a control plane, and draws its seed.
func longTest(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d; -seed repeats what was drawn", *seed)
	ctx, cancel := context.WithTimeout(t.Context(), *wait)
	t.Cleanup(cancel)
	return ctx
}

// finish waits until a burst is placed, and for what the API shows then.
func finish(ctx context.Context, t *testing.T, p *plant, g *guard, submitted <-chan error) {
	t.Helper()
	if err := <-submitted; err != nil {
		t.Fatalf("submitting the burst: %v", err)
	}
	if err := g.until(ctx, p.pods); err != nil {
		t.Fatal(err)
	}
	if err := p.settled(ctx); err != nil {
		t.Error(err)
	}
	states, lists := g.stop()
	t.Logf("%d states and %d lists judged", states, lists)
}
