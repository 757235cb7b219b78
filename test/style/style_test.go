// Package style keeps the rules of the house that no linter checks for us:
// every package says in one place what it is, files stay readable, and names
// that say nothing are not used.
package style

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the root of the module, from here.
const root = "../.."

const (
	longestLine = 140
	longestFile = 500
)

// source is one parsed Go file.
type source struct {
	path  string // from the root of the module
	text  string
	file  *ast.File
	lines int
}

// sources returns all Go files of the module by package directory.
func sources(t *testing.T) map[string][]source {
	t.Helper()
	out := map[string][]source{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skipped(d.Name()) && path != root {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		s := source{path: rel, text: string(text), file: file, lines: strings.Count(string(text), "\n")}
		out[filepath.Dir(rel)] = append(out[filepath.Dir(rel)], s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func skipped(dir string) bool {
	return strings.HasPrefix(dir, ".") || strings.HasPrefix(dir, "_") || dir == "testdata" || dir == "node_modules"
}

// TestPackageDoc checks that exactly one file of each package carries the
// package comment, and that it begins as Go's do.
func TestPackageDoc(t *testing.T) {
	for dir, files := range sources(t) {
		var documented []string
		for _, s := range files {
			if s.file.Doc == nil || onlyTests(files) != strings.HasSuffix(s.path, "_test.go") {
				continue
			}
			documented = append(documented, s.path)
			want := "Package " + s.file.Name.Name + " "
			if s.file.Name.Name == "main" {
				continue // says what the command is
			}
			if !strings.HasPrefix(s.file.Doc.Text(), want) {
				t.Errorf("%s: the package comment should begin with %q", s.path, want)
			}
		}
		if len(documented) != 1 {
			t.Errorf("package %s has its comment in %d files %v; it should be in exactly one", dir, len(documented), documented)
		}
	}
}

func onlyTests(files []source) bool {
	return !slices.ContainsFunc(files, func(s source) bool { return !strings.HasSuffix(s.path, "_test.go") })
}

// TestNames checks that no package has a name that says nothing.
func TestNames(t *testing.T) {
	for dir := range sources(t) {
		for _, part := range strings.Split(dir, string(filepath.Separator)) {
			if slices.Contains([]string{"utils", "util", "common", "helpers", "helper", "types", "manager", "misc"}, part) {
				t.Errorf("package %s: %q says nothing about what is in it", dir, part)
			}
		}
	}
}

// TestLength checks that files and lines stay readable. Generated files are
// nobody's to read.
func TestLength(t *testing.T) {
	for _, files := range sources(t) {
		for _, s := range files {
			if ast.IsGenerated(s.file) {
				continue
			}
			if s.lines > longestFile {
				t.Errorf("%s has %d lines; above %d it should be cut by idea", s.path, s.lines, longestFile)
			}
			for i, line := range strings.Split(s.text, "\n") {
				if strings.Contains(line, "// +kubebuilder") || strings.Contains(line, "//go:generate") ||
					strings.HasSuffix(s.path, "_test.go") {
					continue // read by a tool as one line, or a sentence that is expected whole
				}
				if n := len([]rune(line)) + 3*strings.Count(line, "\t"); n > longestLine {
					t.Errorf("%s:%d has %d columns; above %d it should be broken", s.path, i+1, n, longestLine)
				}
			}
		}
	}
}
