package board

import (
	"context"
	"encoding/xml"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weir-gpu/weir/sim/openb"
	"github.com/weir-gpu/weir/sim/pack"
	"github.com/weir-gpu/weir/sim/replay"
)

// root is the root of the module, from here.
const root = "../.."

func recorded(t *testing.T) Results {
	t.Helper()
	r, err := Load(filepath.Join(root, "docs/scoreboard/results.json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// No headline gets worse than is recorded, by more than its spread.
func TestHeadlinesHold(t *testing.T) {
	if testing.Short() {
		t.Skip("fourteen simulations")
	}
	was, now := recorded(t), Results{}
	for _, s := range was.Short() {
		x, err := s.Run(t.Context(), func(what string) { t.Log(s.Name(), what) })
		if err != nil {
			t.Fatal(err)
		}
		now[s.Name()] = x
	}
	for _, worse := range was.Worse(now) {
		t.Error(worse)
	}
}

// A headline that is worse is found, one that is better or nearly the same is
// not.
func TestWorseIsFound(t *testing.T) {
	pods := func(at130, at100 float64) Result {
		return Result{Pack: &Packed{At: map[int][]float64{130: {at130, at130 - 0.2}, 100: {at100, at100}}}}
	}
	pool := func(wait, p99, lost float64, worse ...string) Result {
		r := &replay.Report{Worse: worse}
		r.Wait.Mean, r.Wait.P99, r.Lost = wait, p99, lost
		return Result{Replay: r}
	}
	was := Results{"pods": pods(96, 95), "pool": pool(600, 8000, 0.8)}
	for name, c := range map[string]struct {
		now  Results
		want []string
	}{
		"the same":              {was, nil},
		"better":                {Results{"pods": pods(97, 96), "pool": pool(500, 7000, 0.7)}, nil},
		"within the spread":     {Results{"pods": pods(95.9, 95), "pool": pool(605, 8001, 0.8)}, nil},
		"less given out":        {Results{"pods": pods(95.8, 95)}, []string{"at 130%, seed 42", "at 130%, seed 43"}},
		"less, where none lies": {Results{"pods": pods(96, 94.999)}, []string{"at 100%, seed 42", "at 100%, seed 43"}},
		"longer waits":          {Results{"pool": pool(620, 8000, 0.8)}, []string{"mean wait"}},
		"longer tail":           {Results{"pool": pool(600, 9000, 0.8)}, []string{"p99 wait"}},
		"more lost":             {Results{"pool": pool(600, 8000, 0.9)}, []string{"lost work"}},
		"somebody worse":        {Results{"pool": pool(600, 8000, 0.8, "a")}, []string{"tenants worse"}},
		"not recorded":          {Results{"new": pods(96, 95)}, []string{"not recorded"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := was.Worse(c.now)
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}

// Nothing is claimed on what does not reproduce what is published.
func TestBaselineIsReproduced(t *testing.T) {
	r := recorded(t)
	for _, wrong := range r.Gate() {
		t.Error(wrong)
	}
	fgd := r[Packing{List: "default", Policy: "fgd"}.name()]
	for i := range fgd.Pack.At[130] {
		fgd.Pack.At[130][i] -= 0.1
	}
	if len(r.Gate()) != 1 {
		t.Errorf("FGD is off by 0.1, and the gate says %q", r.Gate())
	}
}

// The page is that of the recorded results.
func TestPageIsOfResults(t *testing.T) {
	r := recorded(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "scoreboard"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Page(r, dir); err != nil {
		t.Fatal(err)
	}
	if err := r.Save(filepath.Join(dir, "scoreboard/results.json")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "scoreboard/*"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range append(files, filepath.Join(dir, "scoreboard.md")) {
		rel, _ := filepath.Rel(dir, file)
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, "docs", rel))
		if err != nil || string(got) != string(want) {
			t.Errorf("docs/%s is not what the results say (%v): make scoreboard", rel, err)
		}
	}
}

// No rule is recorded above its bound.
func TestRecordedWithinBounds(t *testing.T) {
	for name, x := range recorded(t) {
		if x.Pack == nil {
			continue
		}
		for _, load := range boundLoads {
			for i, most := range x.Pack.Bound[load] {
				if got := x.Pack.At[load][i]; got > most {
					t.Errorf("%s gives out %v%% at %d%% with seed %d, above its bound %v%%", name, got, load, firstSeed+i, most)
				}
			}
		}
	}
}

// Scenarios have names of their own, and commands that name policies and lists
// that there are.
func TestScenarios(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Scenarios() {
		if names[s.Name()] {
			t.Errorf("%s is there twice", s.Name())
		}
		names[s.Name()] = true
		if p := s.Pack; p != nil && (pack.Policies[p.Policy] == "" ||
			!slices.Contains(slices.Concat(openb.Lists, openb.Variants), p.List)) {
			t.Errorf("%s: there is no such policy or list", s.Command())
		}
	}
	for _, s := range (Results{}).Short() {
		if !names[s.Name()] {
			t.Errorf("%s is in the short run only", s.Name())
		}
	}
}

// What has not changed is not run again; what has is, and is kept.
func TestBringRunsWhatIsMissing(t *testing.T) {
	all := []Scenario{{Limit: &Limiting{List: "default", Load: 95, Given: []float64{90}, At: 100, Seeds: 1}}}
	file := filepath.Join(t.TempDir(), "results.json")
	r, runs := Results{}, 0
	bring := func() {
		t.Helper()
		say := func(string) { runs++ }
		if err := r.Bring(context.Background(), all, root, say, func() error { return r.Save(file) }); err != nil {
			t.Fatal(err)
		}
	}
	bring()
	again, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if r = again; len(r) != 1 {
		t.Fatalf("%d results are kept", len(r))
	}
	if bring(); runs != 1 {
		t.Errorf("%d runs, want 1", runs)
	}
	all[0].Limit = &Limiting{List: "default", Load: 95, Given: []float64{90}, At: 100, Seeds: 2}
	if bring(); runs != 2 {
		t.Errorf("%d runs after a change, want 2", runs)
	}
	if err := os.WriteFile(file, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil {
		t.Error("half a file is read")
	}
}

// A chart is well-formed, stays in its frame, and names each line.
func TestChart(t *testing.T) {
	c := Chart{Title: "a < b", X: "x", Y: "y", LogY: true, Series: []Series{
		{Name: "one & two", Points: [][2]float64{{1, 1}, {2, 1000}}, Dots: true},
		{Name: "three", Points: [][2]float64{{1, 900}, {2, 1000}}},
	}}
	text := c.SVG()
	d, names := xml.NewDecoder(strings.NewReader(text)), map[string]bool{}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if x, ok := token.(xml.CharData); ok {
			names[string(x)] = true
		}
	}
	for _, s := range c.Series {
		if !names[s.Name] {
			t.Errorf("%s is not named in %v", s.Name, slices.Sorted(maps.Keys(names)))
		}
	}
	y := newAxis(c.values(1), bottom, top, true)
	for _, v := range c.values(1) {
		if at := y.at(v); math.IsNaN(at) || at < top || at > bottom {
			t.Errorf("%v is at %v", v, at)
		}
	}
}
