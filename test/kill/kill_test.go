// Package kill kills the scheduler. It runs as a process of its own against an
// embedded cluster, is ended by SIGKILL at random moments of a burst of mixed
// pods, and is started again at once. All the while the API is watched:
// nothing may be granted beyond what there is, and in the end every pod has
// its node and its devices, once.
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
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d; -seed repeats the choice of the moments", *seed)
	ctx, cancel := context.WithTimeout(t.Context(), *wait)
	defer cancel()

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
	if err := <-submitted; err != nil {
		t.Fatalf("submitting the burst: %v", err)
	}
	if err := g.until(ctx, b.pods); err != nil {
		t.Fatal(err)
	}
	bound := time.Since(began)
	if err := p.settled(ctx, b.pods); err != nil {
		t.Error(err)
	}
	states, lists := g.stop()
	t.Logf("%d pods bound in %s through %d kills, %d of them with pods waiting; %d states and %d lists judged",
		b.pods, bound.Round(time.Millisecond), *kills, k.hurt, states, lists)
	if k.hurt < *kills/2 {
		t.Errorf("only %d of %d kills fell into the burst: make it larger with -pods", k.hurt, *kills)
	}
}
