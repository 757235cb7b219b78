package realnode

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hierarchies are where control groups are mounted: one place, or on older
// machines one for each controller.
func hierarchies() (places []string, err error) {
	text, err := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			places = append(places, fields[1])
		}
	}
	return places, err
}

// makeGroups makes a control group in all hierarchies.
func makeGroups(name string) error {
	places, err := hierarchies()
	for _, place := range places {
		err = errors.Join(err, os.MkdirAll(filepath.Join(place, name), 0o755))
	}
	return err
}

// removeGroups removes a control group with all that are in it. What runs in
// them is killed, and waited for.
func removeGroups(name string) error {
	places, err := hierarchies()
	if err != nil {
		return err
	}
	for _, place := range places {
		if err := removeGroup(filepath.Join(place, name)); err != nil {
			return fmt.Errorf("removing control group %s: %w", filepath.Join(place, name), err)
		}
	}
	return nil
}

func removeGroup(top string) (err error) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var groups []string
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				groups = append(groups, path)
			}
			return nil // others may go meanwhile
		})
		slices.Reverse(groups) // the inner ones first
		err = nil
		for _, group := range groups {
			kill(group)
			if gone := os.Remove(group); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
				err = gone
			}
		}
		if err == nil {
			return nil
		}
	}
	return err
}

// kill kills what runs in a control group.
func kill(group string) {
	text, _ := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	for word := range strings.FieldsSeq(string(text)) {
		pid := 0
		if _, err := fmt.Sscan(word, &pid); err == nil && pid > 0 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
