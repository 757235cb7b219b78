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
	clock clock.PassiveClock
	name  string       // of this instance
	also  func() error // what else has to be ready; may be nil

	leads   atomic.Value // string: who has the lead as far as is known; unset: nobody was seen to
	leading atomic.Bool  // this instance has seen the cluster and decides
	beat    atomic.Int64 // Unix milliseconds of the loop's last round
}

func (h *health) lead(yes bool) {
	h.beats()
	h.leading.Store(yes)
}

// leader notes who has the lead.
func (h *health) leader(name string) { h.leads.Store(name) }

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

// ready fails while this instance cannot do its part: what else runs in the
// process, the webhook say, is not ready; or it neither decides nor knows who
// does. An instance that stands by is ready: it serves what all serve, and
// could take the lead.
func (h *health) ready() error {
	if h.also != nil {
		if err := h.also(); err != nil {
			return err
		}
	}
	if h.leading.Load() {
		return h.alive()
	}
	switch leader, _ := h.leads.Load().(string); leader {
	case "":
		return errors.New("not standing by: the lease that says who decides was not read yet")
	case h.name:
		return errors.New("not deciding: waiting for the API server's lists")
	}
	return nil
}

// decides fails unless this is the instance that decides.
func (h *health) decides() error {
	if h.leading.Load() {
		return h.alive()
	}
	if leader, _ := h.leads.Load().(string); leader != "" && leader != h.name {
		return fmt.Errorf("standing by: %s decides", leader)
	}
	return errors.New("not deciding: waiting for the lead, or for the API server's lists")
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
	mux.HandleFunc("/leaderz", probe(s.health.decides))
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
