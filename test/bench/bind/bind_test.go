package main

import (
	"strings"
	"testing"
	"time"
)

// A small run of everything, so that the benchmark works when it is needed.
func TestMeasure(t *testing.T) {
	if testing.Short() {
		t.Skip("starts control planes")
	}
	for _, test := range []struct {
		mode, who string
		writes    float64 // for each pod, at most
	}{
		{"whole", "raw", 1},
		{"whole", "kube", 3},
		{"whole", "weir", 2.2}, // a status of the project among few pods counts
		{"half", "weir", 4.2},
		{"reclaim", "weir", 9},
	} {
		t.Run(test.mode+" "+test.who, func(t *testing.T) {
			s := setting{Mode: test.mode, Nodes: 4, GPUs: 8, Pods: 16, Timeout: time.Minute}
			r, err := measure(t.Context(), s, works[test.mode], test.who)
			if err != nil {
				t.Fatal(err)
			}
			if r.Pods != s.Pods || r.Rate <= 0 || r.All < r.First || r.First <= 0 {
				t.Errorf("result is %+v", r)
			}
			if total := r.total(); total > test.writes {
				t.Errorf("%.2f writes for each pod, want at most %.2f: %v", total, test.writes, r.Writes)
			}
		})
	}
}

func TestPrintTable(t *testing.T) {
	var out strings.Builder
	err := printTable(&out, setting{Mode: "whole", Nodes: 500, GPUs: 8, Pods: 4000}, []Result{
		{Name: "raw", Pods: 4000, Rate: 1400, First: 20 * time.Millisecond, All: 3 * time.Second,
			Writes: map[string]float64{"create pods/binding": 1}, CPU: 5 * time.Second, MaxRSS: 700 << 20},
		{Name: "weir", Pods: 4000, Rate: 1050, First: 300 * time.Millisecond, All: 4 * time.Second,
			Writes: map[string]float64{"create pods/binding": 1, "create events": 1}, CPU: 7 * time.Second, MaxRSS: 800 << 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `whole: 4000 pods, 500 nodes of 8 GPUs
who   pods/s  of raw  first  all bound  writes/pod  CPU  pods/CPU s  memory
raw   1400    100%    20ms   3s         1.00        5s   800         700 MiB
weir  1050    75%     300ms  4s         2.00        7s   571         800 MiB
writes per pod, raw: create pods/binding 1.00
writes per pod, weir: create events 1.00, create pods/binding 1.00
`
	if out.String() != want {
		t.Errorf("table is\n%s\nwant\n%s", out.String(), want)
	}
}
