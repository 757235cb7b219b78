package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// BusyError says that another process runs the cluster of a directory.
type BusyError struct {
	Dir string
	PID string // as the other process wrote it; "" when it has not yet
}

func (e *BusyError) Error() string {
	who, stop := "another process", "stop it"
	if e.PID != "" {
		who, stop = "process "+e.PID, "stop it with `kill "+e.PID+"`"
	}
	return fmt.Sprintf("the cluster in %s is already run by %s: %s, or start a second cluster with another --name",
		e.Dir, who, stop)
}

// lock takes the directory for this process. The kernel drops the lock with
// the process however it ends, so there are no stale locks to clean up; the
// number in the file is for people.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		return nil, &BusyError{Dir: dir, PID: strings.TrimSpace(string(pid))}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
