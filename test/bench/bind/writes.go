package main

import (
	"context"
	"maps"
	"time"

	dto "github.com/prometheus/client_model/go"
	"k8s.io/component-base/metrics/legacyregistry"
)

// writeVerbs are the verbs of the API server's metric that change something.
var writeVerbs = map[string]string{
	"POST": "create", "PUT": "update", "PATCH": "patch", "APPLY": "apply",
	"DELETE": "delete", "DELETECOLLECTION": "delete",
}

// passing are resources that are written all the time, whoever schedules.
var passing = map[string]bool{"leases": true, "nodes": true}

// countWrites returns the writes that the API server of this process has
// served so far, by what was written.
func countWrites() (map[string]int, error) {
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, family := range families {
		if family.GetName() != "apiserver_request_total" {
			continue
		}
		for _, m := range family.Metric {
			labels := labelsOf(m)
			verb, ok := writeVerbs[labels["verb"]]
			if !ok || passing[labels["resource"]] || labels["code"][0] != '2' {
				continue
			}
			what := labels["resource"]
			if sub := labels["subresource"]; sub != "" {
				what += "/" + sub
			}
			counts[verb+" "+what] += int(m.GetCounter().GetValue())
		}
	}
	return counts, nil
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.Label {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// settledWrites waits until nothing more is written for a while, as events
// are written behind the pods that they tell of, and returns the counts.
func settledWrites(ctx context.Context) (map[string]int, error) {
	last, err := countWrites()
	for err == nil {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		var now map[string]int
		if now, err = countWrites(); maps.Equal(now, last) {
			return now, err
		}
		last = now
	}
	return nil, err
}

// perPod returns what was written between two counts for each of n pods.
func perPod(before, after map[string]int, n int) map[string]float64 {
	writes := map[string]float64{}
	for what, count := range after {
		if d := count - before[what]; d > 0 {
			writes[what] = float64(d) / float64(n)
		}
	}
	return writes
}
