package board

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Results are what came of scenarios, by name.
type Results map[string]Result

// Load reads results; there are none where there is no file.
func Load(file string) (Results, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Results{}, nil
	}
	if err != nil {
		return nil, err
	}
	r := Results{}
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it, and everything is run again", file, err)
	}
	return r, nil
}

// Save writes results, those of known scenarios only, one a line.
func (r Results) Save(file string) error {
	var out bytes.Buffer
	sep := "{\n"
	for _, s := range Scenarios() {
		x, ok := r[s.Name()]
		if !ok {
			continue
		}
		line, err := json.Marshal(x)
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s%q: %s", sep, s.Name(), line)
		sep = ",\n"
	}
	if out.Len() == 0 {
		out.WriteString(sep)
	}
	out.WriteString("\n}\n")
	if err := os.WriteFile(file+".new", out.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Bring runs what is missing or out of date, and calls keep after each; say is
// told what is being done.
func (r Results) Bring(ctx context.Context, all []Scenario, root string, say func(string), keep func() error) error {
	for i, s := range all {
		key, err := s.key(root)
		if err != nil {
			return err
		}
		if r[s.Name()].Key == key {
			continue
		}
		say(fmt.Sprintf("%d of %d: %s", i+1, len(all), s.Command()))
		x, err := s.Run(ctx, say)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name(), err)
		}
		x.Key = key
		r[s.Name()] = x
		if err := keep(); err != nil {
			return err
		}
	}
	return nil
}

// dependsOn are the directories, from the root of the module, with all code and
// data that figures follow from.
func (s Scenario) dependsOn() []string {
	switch {
	case s.Limit != nil:
		return []string{"sim/pack", "sim/openb", "sim/openb/data"}
	case s.Pack != nil:
		return []string{"sched", "sched/learn", "sim/pack", "sim/openb", "sim/openb/data"}
	case s.Scale != nil:
		return []string{"sched", "sched/learn", "sim/pack", "sim/scale", "sim/openb", "sim/openb/data"}
	}
	return []string{"sched", "sim/replay", "sim/trace", "sim/trace/data"}
}

// key is a hash of everything that the result of s depends on.
func (s Scenario) key(root string) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(s); err != nil {
		return "", err
	}
	for _, dir := range s.dependsOn() {
		files, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			return "", fmt.Errorf("%w: run this in the root of the module", err)
		}
		files = slices.DeleteFunc(files, func(f fs.DirEntry) bool {
			return f.IsDir() || strings.HasSuffix(f.Name(), "_test.go")
		})
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(root, dir, f.Name()))
			if err != nil {
				return "", err
			}
			fmt.Fprintln(h, dir, f.Name(), len(text))
			h.Write(text)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
