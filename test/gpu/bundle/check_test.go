package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-gpu/weir/shim/build"
)

// Nobody reads what the script says of a simulated driver. It is to come to its
// end there with nothing failed, so that it can be trusted on the day that there
// is a GPU.
func TestCheckOnTheSimulatedDriver(t *testing.T) {
	for _, program := range []string{build.Compiler(), "python3", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s", program)
		}
	}
	dir := t.TempDir()
	if err := bundle(dir); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(dir, "report.md")
	cmd := exec.CommandContext(t.Context(), "../check", report)
	cmd.Env = append(os.Environ(), "BUNDLE="+dir, "DRIVER="+filepath.Join(dir, "sim"), "QUICK=yes", "TMPDIR=/tmp")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, want := range []string{
		"2 killed on their way out, 0 of them not forgotten",
		"graph: 64 MiB, then error 2; 0 of 64 MiB free",
		"right replayed spun",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	// Only what needs a real driver, or PyTorch, or a quiet machine, may fail.
	excused := regexp.MustCompile(`^(nvidia-smi under|PyTorch|Shares of time)`)
	for _, section := range strings.Split(text, "\n## ")[1:] {
		if !excused.MatchString(section) && (strings.Contains(section, "(exit status") || strings.Contains(section, "Traceback")) {
			t.Errorf("a section failed: %s", section)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
