// Package image writes container images from files of this machine, for nodes
// that have no registry: as `docker save` writes them, which every runtime can
// import.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Image is an image of one layer.
type Image struct {
	Name  string            // with its tag: weir.dev/pause:1
	Files map[string]string // path in the image: file of this machine
	Links map[string]string // path in the image: where it leads
	Cmd   []string
}

// Write writes an image.
func (i Image) Write(w io.Writer) error {
	layer, err := i.layer()
	if err != nil {
		return fmt.Errorf("image %s: %w", i.Name, err)
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Cmd": i.Cmd, "Env": []string{"PATH=/bin:/usr/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum(layer)}},
	})
	if err != nil {
		return err
	}
	name := sum(config) + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": name, "RepoTags": []string{i.Name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		data []byte
	}{{"manifest.json", manifest}, {name, config}, {"layer.tar", layer}} {
		header := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		if _, err := out.Write(f.data); err != nil {
			return err
		}
	}
	return out.Close()
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// layer is the image's files as a tar of its own: folders first.
func (i Image) layer() ([]byte, error) {
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	folders := map[string]bool{"tmp": true}
	for _, list := range []map[string]string{i.Files, i.Links} {
		for path := range list {
			for dir := filepath.Dir(clean(path)); dir != "."; dir = filepath.Dir(dir) {
				folders[dir] = true
			}
		}
	}
	for _, dir := range sorted(folders) {
		mode := int64(0o755)
		if dir == "tmp" {
			mode = 0o1777
		}
		if err := out.WriteHeader(&tar.Header{Name: dir + "/", Mode: mode, Typeflag: tar.TypeDir}); err != nil {
			return nil, err
		}
	}
	for _, path := range sorted(i.Links) {
		header := &tar.Header{Name: clean(path), Linkname: i.Links[path], Mode: 0o777, Typeflag: tar.TypeSymlink}
		if err := out.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	for _, path := range sorted(i.Files) {
		data, err := os.ReadFile(i.Files[path])
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Name: clean(path), Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}
		if err := out.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := out.Write(data); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), out.Close()
}

func clean(path string) string { return strings.TrimPrefix(filepath.Clean(path), "/") }

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Libraries adds to files the loader and the libraries that a program of this
// machine needs, at the paths where it looks for them. Those in besides are
// left out: the image finds them otherwise.
func Libraries(files map[string]string, program string, besides ...string) error {
	todo := []string{program}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		f, err := elf.Open(path)
		if err != nil {
			return fmt.Errorf("%s is no program: %w", path, err)
		}
		needed, err := f.ImportedLibraries()
		interpreter := loader(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if interpreter != "" {
			needed = append(needed, interpreter)
		}
		for _, name := range needed {
			if slices.Contains(besides, filepath.Base(name)) {
				continue
			}
			found, err := find(name)
			if err != nil {
				return fmt.Errorf("%s needs %s: %w", path, name, err)
			}
			if _, there := files[found]; !there {
				files[found] = found
				todo = append(todo, found)
			}
		}
	}
	return nil
}

// loader is the program that a program is loaded by; "" for none.
func loader(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			text, err := io.ReadAll(p.Open())
			if err != nil {
				return ""
			}
			return strings.TrimRight(string(text), "\x00")
		}
	}
	return ""
}

// find returns the path at which a loader finds a library.
func find(name string) (string, error) {
	if filepath.IsAbs(name) {
		_, err := os.Stat(name)
		return name, err
	}
	for _, dir := range []string{"/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", os.ErrNotExist
}
