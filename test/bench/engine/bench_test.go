package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/weir-gpu/weir/sched"
)

// The benchmarks are the small siblings of the cases, for benchstat.

func BenchmarkAllocate(b *testing.B) {
	benchmark(b, func() ([]Result, error) { return allocate(100, 0, "") })
}
func BenchmarkReclaim(b *testing.B) {
	benchmark(b, func() ([]Result, error) { return reclaim(20, 0, "") })
}
func BenchmarkFill(b *testing.B) {
	benchmark(b, func() ([]Result, error) { return fill(500, 4_000, fitting, sched.Pack, "", true) })
}
func BenchmarkOverfull(b *testing.B) {
	benchmark(b, func() ([]Result, error) { return fill(500, 4_000, overfull, sched.Pack, "", false) })
}

func BenchmarkImpossible(b *testing.B) {
	for _, crowd := range crowds {
		b.Run(crowd.name, func(b *testing.B) {
			benchmark(b, func() ([]Result, error) { r, err := sayNo(crowd, 100); return []Result{r}, err })
		})
	}
}

// benchmark reports what the engine spent, not what it took to build the case.
func benchmark(b *testing.B, run func() ([]Result, error)) {
	sum := map[string]float64{}
	for range b.N {
		rs, err := run()
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range rs {
			sum[r.Unit] += r.Value
		}
	}
	for unit, v := range sum {
		b.ReportMetric(v/float64(b.N), unit+"/case")
	}
	b.ReportMetric(0, "ns/op") // says nothing: the case is built anew each time
}

// TestSmall runs every kind of case on small clusters: the decisions have to
// be right on a machine of any speed.
func TestSmall(t *testing.T) {
	for name, run := range map[string]func() ([]Result, error){
		"allocate": func() ([]Result, error) { return allocate(20, 0, "") },
		"reclaim":  func() ([]Result, error) { return reclaim(10, 0, "") },
		"fill":     func() ([]Result, error) { return fill(50, 400, fitting, sched.Pack, "", true) },
		"dense":    func() ([]Result, error) { return fill(50, 400, fitting, sched.Dense, "", false) },
		"overfull": func() ([]Result, error) { return fill(50, 400, overfull, sched.Pack, "", false) },
	} {
		if _, err := run(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, crowd := range crowds {
		if _, err := sayNo(crowd, 20); err != nil {
			t.Errorf("%s: %v", crowd.name, err)
		}
	}
}

func TestOutput(t *testing.T) {
	var out bytes.Buffer
	if _, err := bench(&out, "json", "^$"); err != nil {
		t.Fatal(err)
	}
	var results []Result
	if err := json.Unmarshal(out.Bytes(), &results); err != nil {
		t.Errorf("%v in %s", err, &out)
	}
	if _, err := bench(&out, "yaml", "."); err == nil {
		t.Error("-o yaml is accepted")
	}
	if _, err := bench(&out, "json", "("); err == nil {
		t.Error("-run ( is accepted")
	}
}
