package realnode

import (
	"crypto/sha256"
	"encoding/hex"
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

// prefix begins the names of all nodes' control groups.
const prefix = "weir-node-"

// Group is the name of the control group of a node, by its folder.
func Group(dir string) string {
	name := sha256.Sum256([]byte(dir))
	return prefix + hex.EncodeToString(name[:4])
}

// makeGroups makes a control group in all hierarchies. As long as the files are
// open its owner lives: they are locked, and the kernel lets go of the locks of
// who ends in whatever way.
func makeGroups(name string) (alive []*os.File, err error) {
	places, err := hierarchies()
	for _, place := range places {
		f, failed := makeGroup(filepath.Join(place, name))
		if failed == nil {
			alive = append(alive, f)
		}
		err = errors.Join(err, failed)
	}
	return alive, err
}

func makeGroup(path string) (*os.File, error) {
	for {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
		f, err := lockGroup(path)
		if err != nil {
			return nil, err
		}
		// Who found it without an owner may have removed it meanwhile.
		was, err := f.Stat()
		if is, gone := os.Stat(path); err == nil && gone == nil && os.SameFile(was, is) {
			return f, nil
		}
		f.Close()
	}
}

// lockGroup takes the lock of a control group; it fails where another has it.
func lockGroup(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking control group %s: %w", path, err)
	}
	return f, nil
}

// sweepGroups removes control groups of nodes that were cut off: those whose
// owner is dead and in which nothing runs. What cannot be removed is left.
func sweepGroups(prefix string) error {
	places, err := hierarchies()
	for _, place := range places {
		left, _ := filepath.Glob(filepath.Join(place, prefix+"*"))
		for _, path := range left {
			f, err := lockGroup(path)
			if err != nil {
				continue // its owner lives
			}
			for _, group := range groupsOf(path) {
				_ = os.Remove(group) // fails where a process is in it
			}
			f.Close()
		}
	}
	return err
}

// groupsOf are a control group and all that are in it, the inner ones first.
func groupsOf(top string) (groups []string) {
	_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			groups = append(groups, path)
		}
		return nil // others may go meanwhile
	})
	slices.Reverse(groups)
	return groups
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
		err = nil
		for _, group := range groupsOf(top) {
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
