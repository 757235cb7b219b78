// Package library puts the shim where programs find it, with the driver beside
// it: a folder whose libcuda.so.1 and libnvidia-ml.so.1 are the shim's, and in
// whose folder "driver" are the real ones, or the simulated ones. A program
// that has the folder in LD_LIBRARY_PATH goes through the shim.
package library

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Names are the libraries that the shim stands before.
var Names = []string{"libcuda.so.1", "libnvidia-ml.so.1"}

// Lay makes the folder, from the shim's libraries in one folder and the
// driver's in another. What programs have open of an older one stays as it was.
func Lay(dir, shim, driver string) error {
	beside := filepath.Join(dir, "driver")
	if err := os.MkdirAll(beside, 0o755); err != nil {
		return err
	}
	for _, name := range Names {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(shim, name)); err != nil {
			return fmt.Errorf("the shim's %s is missing: make shim builds it: %w", name, err)
		}
		real, err := filepath.Abs(filepath.Join(driver, name))
		if err == nil {
			_, err = os.Stat(real)
		}
		if err != nil {
			return fmt.Errorf("the driver's %s is missing: %w", name, err)
		}
		link := filepath.Join(beside, name)
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Symlink(real, link); err != nil {
			return err
		}
	}
	return nil
}

// copyFile puts a copy in the place of a file, at once: who has the old one
// mapped keeps it.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), ".new")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Chmod(0o755), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), to)
}
