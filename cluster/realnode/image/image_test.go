package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-gpu/weir/cluster/realnode/image"
)

// read returns what is in a tar, by name; links as where they lead.
func read(t *testing.T, data []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = header.Linkname + string(text)
	}
}

// An image is a layer, a description that knows the layer by its sum, and a
// list that knows both by name.
func TestWrite(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	i := image.Image{Name: "weir.test/x:1", Files: map[string]string{"/bin/program": program},
		Links: map[string]string{"/usr/bin/sh": "/bin/program"}, Cmd: []string{"program"}}
	var b bytes.Buffer
	if err := i.Write(&b); err != nil {
		t.Fatal(err)
	}
	files := read(t, b.Bytes())
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal([]byte(files["manifest.json"]), &manifest); err != nil || len(manifest) != 1 ||
		manifest[0].RepoTags[0] != "weir.test/x:1" {
		t.Fatalf("%s, %v", files["manifest.json"], err)
	}
	layer := files[manifest[0].Layers[0]]
	sum := sha256.Sum256([]byte(layer))
	if config := files[manifest[0].Config]; !strings.Contains(config, hex.EncodeToString(sum[:])) ||
		!strings.Contains(config, `"Cmd":["program"]`) {
		t.Errorf("%s", config)
	}
	inside := read(t, []byte(layer))
	if inside["bin/program"] != "a program" || inside["usr/bin/sh"] != "/bin/program" {
		t.Errorf("%v", inside)
	}
	for _, dir := range []string{"bin/", "usr/", "usr/bin/", "tmp/"} {
		if _, ok := inside[dir]; !ok {
			t.Errorf("the folder %s is missing", dir)
		}
	}
	var again bytes.Buffer
	if err := i.Write(&again); err != nil || !bytes.Equal(again.Bytes(), b.Bytes()) {
		t.Errorf("written again it is another, %v", err)
	}
}

// A program's libraries are found as its loader finds them, and theirs too.
func TestLibraries(t *testing.T) {
	const shell = "/bin/sh"
	files := map[string]string{}
	if err := image.Libraries(files, shell); err != nil {
		t.Skipf("%s of this machine is linked statically, or differently: %v", shell, err)
	}
	var loader, c bool
	for path := range files {
		loader = loader || strings.Contains(path, "/ld-linux")
		c = c || strings.HasSuffix(path, "/libc.so.6")
	}
	if !loader || !c {
		t.Errorf("%v", files)
	}
	without := map[string]string{}
	if err := image.Libraries(without, shell, "libc.so.6"); err != nil || len(without) >= len(files) {
		t.Errorf("%v, %v", without, err)
	}
	if err := image.Libraries(map[string]string{}, os.DevNull); err == nil || !strings.Contains(err.Error(), "is no program") {
		t.Errorf("%v", err)
	}
}
