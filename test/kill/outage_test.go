package kill

import (
	"context"
	"flag"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/kube/live"
)

var (
	outages = flag.Int("outages", 2, "how often the API server is stopped")
	away    = flag.Duration("away", 2*time.Second, "how long it stays away")
)

// The API server ends in the middle of a burst and comes back, and with it all
// the controllers. The scheduler and the nodes live on.
func TestAPIServerRestartsInABurst(t *testing.T) {
	ctx := longTest(t)
	b := newBurst(*pods)
	p := startPlant(ctx, t, b)
	g := p.guard(ctx, t)
	runScheduler(t, p.cluster.Config())
	submitted := make(chan error, 1)
	go func() { submitted <- b.submit(ctx, p.kube) }()

	for i := range *outages {
		if err := g.until(ctx, (i+1)*b.pods/(*outages+2)); err != nil {
			t.Fatal(err)
		}
		bound := g.bound()
		g.outage(true)
		p.restart(ctx, t, *away)
		if err := g.until(ctx, bound+1); err != nil {
			t.Fatal(err)
		}
		g.outage(false)
		t.Logf("the API server was taken away with %d of %d pods bound", bound, b.pods)
		if bound >= b.pods {
			t.Errorf("nothing waited when the API server was taken away: make the burst larger with -pods")
		}
	}
	finish(ctx, t, p, g, submitted)
}

// The line to the API server loses, delays and refuses requests, and cuts
// watches, from the first pod to the last.
func TestAPIServerOverABadLine(t *testing.T) {
	ctx := longTest(t)
	b := newBurst(*pods)
	p := startPlant(ctx, t, b)
	g := p.guard(ctx, t)
	l := newLine(t, p.cluster.Config(), rand.New(rand.NewPCG(*seed, 1)))
	runScheduler(t, &rest.Config{Host: l.address})
	submitted := make(chan error, 1)
	go func() { submitted <- b.submit(ctx, p.kube) }()

	began := time.Now()
	finish(ctx, t, p, g, submitted)
	t.Logf("%d pods bound in %s over a line that did %v", b.pods, time.Since(began).Round(time.Millisecond), l.count())
	for harm, times := range l.count() {
		if times == 0 {
			t.Errorf("the line never did %q: make the burst larger with -pods", harm)
		}
	}
}

// runScheduler runs a scheduler in this process until the test ends.
func runScheduler(t *testing.T, cfg *rest.Config) {
	t.Helper()
	opts := live.Options{Config: cfg, Name: "weir-0", Logger: slog.New(slog.DiscardHandler)}
	if *logs {
		opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	s, err := live.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the scheduler ended with %v", err)
		}
	})
}
