package cli

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/weir-gpu/weir/api/crds"
)

// What weir install prints: the definitions of the kinds as they stand in
// api/crds, and the rest as in the golden file.
func TestInstallPrints(t *testing.T) {
	code, out, stderr := newBench(t).run("install", "--image", "registry.example.com/weir:1", "--agent-image",
		"registry.example.com/weir-agent:1")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	names, err := fs.Glob(crds.Files(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		definition, err := fs.ReadFile(crds.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		rest, ok := strings.CutPrefix(out, string(definition))
		if !ok {
			t.Fatalf("%s is not printed as it is", name)
		}
		out = rest
	}
	golden(t, "install.txt", out)

	_, list, _ := newBench(t).run("install", "--image", "registry.example.com/weir:1", "--agent-image",
		"registry.example.com/weir-agent:1", "-o", "json")
	var read struct {
		Kind  string
		Items []any
	}
	if err := json.Unmarshal([]byte(list), &read); err != nil || read.Kind != "List" ||
		len(read.Items) != len(names)+strings.Count(out, "---\n") {
		t.Errorf("as JSON it is a %s of %d: %v", read.Kind, len(read.Items), err)
	}
}
