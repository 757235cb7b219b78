package plan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Stdin is the name by which standard input is read.
const Stdin = "-"

// document is one object as it stands in a file.
type document struct {
	at      string // "cluster.yaml, document 3"
	content map[string]any
}

// Read reads the objects in files, in directories with all that is in them,
// and in stdin where a name is [Stdin]. Its errors name file, document and
// field; it returns all that it finds, joined.
func Read(names []string, stdin io.Reader) (*Input, error) {
	var docs []document
	var errs []error
	for _, name := range names {
		if name == Stdin {
			more, err := readStream("standard input", stdin)
			docs, errs = append(docs, more...), append(errs, err)
			continue
		}
		files, err := filesOf(name)
		errs = append(errs, err)
		for _, file := range files {
			more, err := readFile(file)
			docs, errs = append(docs, more...), append(errs, err)
		}
	}
	in, err := decodeAll(docs)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, fmt.Errorf("no objects in %s; name files with Kubernetes objects in YAML or JSON",
			strings.Join(names, ", "))
	}
	return in, nil
}

// filesOf returns the files that a name stands for: itself, or those in the
// directory and below it that look like YAML or JSON, in order.
func filesOf(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	var files []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != name && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".yaml", ".yml", ".json":
			if !d.IsDir() {
				files = append(files, path)
			}
		}
		return nil
	})
	return files, err
}

func readFile(name string) ([]document, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readStream(name, f)
}

// readStream reads YAML documents, or JSON, which is YAML too.
func readStream(name string, r io.Reader) ([]document, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(r))
	var docs []document
	var errs []error
	for n := 1; ; n++ {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return docs, errors.Join(errs...)
		}
		if err != nil {
			return docs, errors.Join(append(errs, fmt.Errorf("%s, document %d: %w", name, n, err))...)
		}
		at := fmt.Sprintf("%s, document %d", name, n)
		content, err := parse(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
			continue
		}
		docs = append(docs, flatten(document{at, content})...)
	}
}

// parse reads one document; one without content is nil.
func parse(text []byte) (map[string]any, error) {
	data, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("is no valid YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil, nil
	}
	var content any
	if err := json.Unmarshal(data, &content); err != nil {
		return nil, err
	}
	object, ok := content.(map[string]any)
	if !ok {
		return nil, errors.New("is no object; write apiVersion, kind and metadata")
	}
	return object, nil
}

// flatten returns a document, or the items of one that is a list, as `kubectl
// get -o yaml` writes them.
func flatten(d document) []document {
	if d.content == nil {
		return nil
	}
	kind, _ := d.content["kind"].(string)
	items, ok := d.content["items"].([]any)
	if !ok || !strings.HasSuffix(kind, "List") {
		return []document{d}
	}
	var docs []document
	for i, item := range items {
		content, _ := item.(map[string]any)
		if content == nil {
			content = map[string]any{}
		}
		if _, said := content["kind"]; !said && kind != "List" { // a PodList does not say for each
			content["kind"], content["apiVersion"] = strings.TrimSuffix(kind, "List"), d.content["apiVersion"]
		}
		docs = append(docs, document{fmt.Sprintf("%s, item %d", d.at, i+1), content})
	}
	return docs
}
