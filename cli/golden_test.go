package cli

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The answers of commands that read.
func TestGolden(t *testing.T) {
	for name, line := range map[string]string{
		"list":              "list",
		"list-everywhere":   "list -A -o wide",
		"list-name":         "list -o name",
		"list-json":         "list --status waiting --kind build -o json",
		"list-yaml":         "list --project vision --status running -o yaml",
		"list-no-headers":   "list --no-headers --status suspended",
		"describe":          "describe llm",
		"describe-two":      "describe tune dev",
		"describe-json":     "describe llm -o json",
		"explain":           "explain llm",
		"explain-two":       "explain job/tune ml/dev",
		"explain-json":      "explain llm -o json",
		"top":               "top --once",
		"top-json":          "top --once -o json",
		"node-list":         "node list",
		"node-list-devices": "node list --devices",
		"node-list-pool":    "node list --pool old -o wide",
		"node-get":          "node get n1",
		"node-get-json":     "node get n2 -o json",
		"pool-list":         "pool list",
		"pool-get":          "pool get default",
		"pool-get-yaml":     "pool get old -o yaml",
		"project-list":      "project list",
		"project-list-json": "project list -o json",
		"project-get":       "project get vision",
		"project-get-yaml":  "project get vision -o yaml",
		"department-list":   "department list -o wide",
		"department-get":    "department get research",
		"dry-run-build":     "submit build dev --image python:3.13 --gpu 0.5 --dry-run -- bash -l",
		"dry-run-train":     "submit train llm --image pytorch:2 --pods 4 --gpu 8 --project vision --priority 0 -e A=b,c --dry-run",
		"dry-run-infer":     "submit infer chat --image vllm:1 --replicas 2 --gpu-memory 10Gi -n web --dry-run -o json",
		"dry-run-name":      "submit train llm --image pytorch:2 --dry-run -o name",
		"dry-run-project":   "project create nlp --department research --gpu 2.5 --limit 8 --weight 2 --cpu 64 --discipline service --dry-run",
		"dry-run-pool":      "pool create a100 --selector gpu=a100 --placement fgd --price 2.5 --surplus-runtime 90s --surplus service --dry-run",
	} {
		t.Run(name, func(t *testing.T) {
			code, out, stderr := newBench(t).run(strings.Fields(line)...)
			if code != 0 || stderr != "" {
				t.Fatalf("weir %s: exit %d: %s", line, code, stderr)
			}
			golden(t, name+".txt", out)
		})
	}
}

// What became of a small history of three teams, one of which comes in bursts.
func TestGoldenReplay(t *testing.T) {
	const small = "simulate replay --trace testdata/traces/small.csv --gpus-per-node 4 "
	for name, line := range map[string]string{
		"replay-static":     small + "--plan static",
		"replay-quota":      small + "--plan quota --gpus 12 --quota steady=4,small=1",
		"replay-advise":     small + "--advise",
		"replay-quota-json": small + "--plan quota --gpus 12 --topology -o json",
	} {
		t.Run(name, func(t *testing.T) {
			code, out, stderr := newBench(t).run(strings.Fields(line)...)
			if code != 0 || !strings.HasPrefix(stderr, "static plan, ") {
				t.Fatalf("weir %s: exit %d: %s", line, code, stderr)
			}
			golden(t, name+".txt", out)
		})
	}
}

// The help of every command, as one file to read through.
func TestHelp(t *testing.T) {
	var b strings.Builder
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "completion" || c.Name() == "help" {
			return
		}
		line := strings.Fields(c.CommandPath() + " --help")
		code, out, stderr := newBench(t).run(line[1:]...)
		if code != 0 || stderr != "" {
			t.Errorf("%v: exit %d: %s", line, code, stderr)
		}
		b.WriteString("$ " + strings.Join(line, " ") + "\n" + out + "\n")
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&session{program: "weir"}).root())
	golden(t, "help.txt", b.String())
}

// The reference names every command and every flag.
func TestReferenceIsComplete(t *testing.T) {
	raw, err := os.ReadFile("../docs/reference/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(raw)
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && !c.HasSubCommands() && !strings.Contains(doc, "`"+c.CommandPath()) {
			t.Errorf("docs/reference/cli.md does not mention `%s`", c.CommandPath())
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !strings.Contains(doc, "`--"+f.Name) {
				t.Errorf("docs/reference/cli.md does not mention `--%s` of %s", f.Name, c.CommandPath())
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&session{program: "weir"}).root())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (rewrite with -update):\n%s", path, got)
	}
}
