package live

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestProbes(t *testing.T) {
	const yes, no = http.StatusOK, http.StatusServiceUnavailable
	clock := clocktesting.NewFakeClock(time.Unix(1_800_000_000, 0))
	var webhook error
	h := &health{clock: clock, name: "me", also: func() error { return webhook }}
	probes := func(what string, alive, ready, leads int) {
		t.Helper()
		for name, c := range map[string]struct {
			ask  func() error
			want int
		}{"healthz": {h.alive, alive}, "readyz": {h.ready, ready}, "leaderz": {h.decides, leads}} {
			w := httptest.NewRecorder()
			probe(c.ask)(w, httptest.NewRequest("GET", "/"+name, nil))
			if w.Code != c.want {
				t.Errorf("%s: %s answers %d %q, want %d", what, name, w.Code, w.Body, c.want)
			}
		}
	}
	probes("before the lease was read", yes, no, no)
	h.leader("other")
	probes("standing by", yes, yes, no)
	if err := h.decides(); !strings.Contains(err.Error(), "other decides") {
		t.Errorf("who stands by says %q", err)
	}
	webhook = errors.New("has not seen the cluster yet")
	probes("standing by while the webhook cannot answer", yes, no, no)
	webhook = nil
	clock.Step(time.Hour)
	probes("standing by long", yes, yes, no)
	h.leader("me")
	probes("leading, and reading the lists", yes, no, no)
	h.lead(true)
	probes("deciding", yes, yes, yes)
	clock.Step(2 * stuckAfter)
	probes("stuck", no, no, no)
	clock.Step(-time.Hour)
	probes("after the clock was set back", yes, yes, yes)
	h.beats()
	probes("going round again", yes, yes, yes)
}
