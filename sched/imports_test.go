package sched_test

import (
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestImportsStandardLibraryOnly keeps the engine free of Kubernetes and of
// everything else that is not Go's own: it has to run in the scheduler, in the
// simulator, in the CLI and in a browser alike.
func TestImportsStandardLibraryOnly(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, f := range files {
		name := f.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		checked++
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			// Paths of the standard library have no dot in their first element.
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s; package sched imports only the standard library", name, path)
			}
			if forbidden[path] {
				t.Errorf("%s imports %s; package sched has no clock, no randomness and no I/O", name, path)
			}
		}
	}
	if checked == 0 {
		t.Error("no files were checked")
	}
}

// forbidden are the packages by which the world outside, or chance, would get in.
var forbidden = map[string]bool{
	"math/rand": true, "math/rand/v2": true, "crypto/rand": true, "os": true, "io": true,
	"net": true, "net/http": true, "log": true, "log/slog": true, "unsafe": true, "C": true,
}
