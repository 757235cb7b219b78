package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is the time of all scenarios.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// TestScenarios plans each file of testdata. What comes out is beside it: the
// plan as JSON, or the errors as text where a cluster would refuse the input.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			golden, got := filepath.Join("testdata", name+".json"), ""
			result, err := planFile(file)
			if err != nil {
				golden, got = filepath.Join("testdata", name+".txt"), err.Error()+"\n"
			} else {
				got = render(t, result)
			}
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("run with -update to accept\n got %s\nwant %s", got, want)
			}
		})
	}
}

func planFile(file string) (*Result, error) {
	in, err := Read([]string{file}, nil)
	if err != nil {
		return nil, err
	}
	return in.Run(noon)
}

// render writes a result as the CLI does, notes first.
func render(t *testing.T, r *Result) string {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	out := struct {
		*Result
		Notes []string `json:"notes,omitempty"`
	}{r, r.Notes}
	if err := encoder.Encode(out); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestOrderAndFormDoNotMatter plans a scenario with its documents in other
// orders, as a list, as JSON, from a directory and from standard input.
func TestOrderAndFormDoNotMatter(t *testing.T) {
	for _, name := range []string{"reclaim-for-gang", "reclaim-fractions", "rule-any-kind", "namespaces-mapped"} {
		file := filepath.Join("testdata", name+".yaml")
		first, err := planFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := render(t, first)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs := strings.Split(string(text), "---\n")
		check := func(form string, in *Input, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s, %s: %v", name, form, err)
			}
			result, err := in.Run(noon)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, form, err)
			}
			if got := render(t, result); got != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", name, form, got, want)
			}
		}
		for seed := range uint64(5) {
			rand.New(rand.NewPCG(seed, 1)).Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
			in, err := Read([]string{Stdin}, strings.NewReader(strings.Join(docs, "\n---\n")))
			check("shuffled", in, err)
		}
		list := map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}}
		var items []any
		dir := t.TempDir()
		for i, doc := range docs {
			var item map[string]any
			if err := yaml.Unmarshal([]byte(doc), &item); err != nil {
				t.Fatal(err)
			}
			items = append(items, item)
			sub := filepath.Join(dir, fmt.Sprint(i%2))
			if err := errors.Join(os.MkdirAll(sub, 0o755),
				os.WriteFile(filepath.Join(sub, fmt.Sprintf("%d.yml", i)), []byte(doc), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("not: [read"), 0o644); err != nil {
			t.Fatal(err)
		}
		list["items"] = items
		data, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		in, err := Read([]string{Stdin}, bytes.NewReader(data))
		check("as a list in JSON", in, err)
		in, err = Read([]string{dir}, nil)
		check("in a directory", in, err)
	}
}

// TestAClusterOfTheScenariosPlansTheSame plans what [Input.Cluster] returns:
// objects that are complete need nothing filled in.
func TestAClusterOfTheScenariosPlansTheSame(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		first, err := planFile(file)
		if err != nil {
			continue
		}
		in, err := Read([]string{file}, nil)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := in.Cluster(noon)
		if err != nil {
			t.Fatal(err)
		}
		again := &Input{Objects: objects, Notes: first.Notes}
		result, err := again.Run(noon)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		result.Notes = first.Notes
		if got, want := render(t, result), render(t, first); got != want {
			t.Errorf("%s:\n got %s\nwant %s", file, got, want)
		}
	}
}

func TestReadNamesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "no objects in -; name files with Kubernetes objects in YAML or JSON"},
		{"# nothing\n---\n", "no objects in -"},
		{"- a\n", "standard input, document 1: is no object; write apiVersion, kind and metadata"},
		{"kind: Pod\n", "standard input, document 1: apiVersion or kind is missing"},
		{"apiVersion: a/b/c\nkind: Pod\n", `apiVersion "a/b/c" is not of the form group/version`},
		{"apiVersion: v1\nkind: Node\nmetadata: {name: x, namespace: ns}\n",
			`document 1 (Node x): metadata.namespace "ns" is set on a kind that has no namespaces`},
		{"apiVersion: v1\nkind: Node\nmetadata: {name: x}\nmetadata: {name: y}\n", "already set in map"},
		{"apiVersion: v1\nkind: Node\nmetadata: {name: 5}\n", "metadata.name"},
		{"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, metadata: {}}, 7]\n",
			"standard input, document 1, item 1: metadata.name is missing"},
		{"apiVersion: weir.dev/v1alpha1\nkind: WorkloadRule\nmetadata: {name: r}\n" +
			"spec: {object: {apiVersion: v1, kind: X}, min: '((', pods: [{name: a, template: object}]}\n",
			`rule r: spec.min "((" is not valid CEL`},
		{"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {maxUnavailable: many}\n",
			"PodDisruptionBudget default/b: "},
	} {
		in, err := Read([]string{Stdin}, strings.NewReader(tt.text))
		if err == nil {
			_, err = in.Run(noon)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
	if _, err := Read([]string{"testdata/none.yaml"}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		if in, err := Read([]string{Stdin}, bytes.NewReader(text)); err == nil {
			_, _ = in.Run(noon)
		}
	})
}
