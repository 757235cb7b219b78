package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// stuckAfter is how long the loop may take for one round before the process
// counts as dead.
const stuckAfter = 60 * time.Second

// health is what the probes ask about.
type health struct {
	clock   clock.PassiveClock
	leading atomic.Bool
	beat    atomic.Int64 // Unix milliseconds of the loop's last round
}

func (h *health) lead(yes bool) {
	h.beats()
	h.leading.Store(yes)
}

func (h *health) beats() { h.beat.Store(h.clock.Now().UnixMilli()) }

// alive fails when the loop is stuck. An instance that waits for the lead is
// alive.
func (h *health) alive() error {
	silent := time.Duration(h.clock.Now().UnixMilli()-h.beat.Load()) * time.Millisecond
	if h.leading.Load() && silent > stuckAfter {
		return fmt.Errorf("the scheduling loop has not come round for %s", silent.Round(time.Second))
	}
	return nil
}

func (h *health) ready() error {
	if !h.leading.Load() {
		return errors.New("not deciding: waiting for the lead, or for the API server's lists")
	}
	return h.alive()
}

// listen opens the address and returns what serves it until ctx ends.
func (s *Scheduler) listen(ctx context.Context) (serve func(), err error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", s.opts.Address)
	if err != nil {
		return nil, fmt.Errorf("serving metrics and health at %q: %w; choose an address that is free", s.opts.Address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", s.metrics.Handler())
	mux.HandleFunc("/healthz", probe(s.health.alive))
	mux.HandleFunc("/readyz", probe(s.health.ready))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return func() {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("metrics and health are no longer served", "address", s.opts.Address, "error", err)
		}
	}, nil
}

func probe(ask func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := ask(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}
