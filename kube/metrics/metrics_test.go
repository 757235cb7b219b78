package metrics_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/kube/metrics"
	"github.com/weir-gpu/weir/sched"
)

func TestMetricsAsScraped(t *testing.T) {
	m := metrics.New()
	m.Decided(3*time.Millisecond, []sched.Decision{
		{Action: sched.Start}, {Action: sched.Start}, {Action: sched.Evict, Rule: sched.Reclaim},
	})
	m.Wrote("pods/binding", "create")
	m.Pods(7, 2, 40)
	m.Owners([]sched.Use{{Owner: "project/gone", Pool: "default"}})
	m.Owners([]sched.Use{{Owner: "project/vision", Pool: "default",
		Quota: sched.Amount{GPU: sched.Unbounded}, Granted: sched.Amount{GPU: 2_500_000}}})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`weir_decisions_total{action="start",rule=""} 2`,
		`weir_decisions_total{action="evict",rule="reclaim"} 1`,
		`weir_decision_duration_seconds_count 1`,
		`weir_api_writes_total{resource="pods/binding",verb="create"} 1`,
		`weir_pods{state="waiting"} 7`,
		`weir_owner_gpus{owner="project/vision",pool="default",what="granted"} 2.5`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
	for _, not := range []string{`what="quota"`, "project/gone"} {
		if strings.Contains(w.Body.String(), not) {
			t.Errorf("has %s", not)
		}
	}
}
