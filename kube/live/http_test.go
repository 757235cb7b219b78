package live

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestProbes(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	h := &health{clock: clock}
	probes := func(what string, alive, ready int) {
		t.Helper()
		for name, c := range map[string]struct {
			ask  func() error
			want int
		}{"healthz": {h.alive, alive}, "readyz": {h.ready, ready}} {
			w := httptest.NewRecorder()
			probe(c.ask)(w, httptest.NewRequest("GET", "/"+name, nil))
			if w.Code != c.want {
				t.Errorf("%s: %s answers %d %q, want %d", what, name, w.Code, w.Body, c.want)
			}
		}
	}
	probes("waiting for the lead", http.StatusOK, http.StatusServiceUnavailable)
	clock.Step(time.Hour)
	probes("waiting long", http.StatusOK, http.StatusServiceUnavailable)
	h.lead(true)
	probes("deciding", http.StatusOK, http.StatusOK)
	clock.Step(2 * stuckAfter)
	probes("stuck", http.StatusServiceUnavailable, http.StatusServiceUnavailable)
	clock.Step(-time.Hour)
	probes("after the clock was set back", http.StatusOK, http.StatusOK)
	h.beats()
	probes("going round again", http.StatusOK, http.StatusOK)
}
