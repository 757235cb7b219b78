package cluster

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// DefaultName is the name of the cluster that people get who name none.
const DefaultName = "default"

// Options says where a cluster lives and how it runs. Only Dir is required.
type Options struct {
	// Dir holds everything the cluster keeps. See [StateDir].
	Dir string
	// Fresh wipes what an earlier run left in Dir.
	Fresh bool
	// Port is where the API server listens; 0 takes the port of the last run
	// of this directory when it is free, else any free one.
	Port int
	// Logger is told what Start and Stop do; nil is silent. The control
	// plane's own logs go to the file control-plane.log in Dir.
	Logger *slog.Logger
	// APIServerFlags are flags of kube-apiserver, without the dashes, that
	// replace or add to the ones that the cluster sets itself.
	APIServerFlags map[string]string
	// UnsafeNoFsync lets etcd answer before data is on disk. Faster on slow
	// disks; a power failure may then lose or corrupt the data.
	UnsafeNoFsync bool
}

// StateDir returns the directory of the cluster called name below the XDG
// state directory, ~/.local/state/weir by default.
func StateDir(name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
		return "", fmt.Errorf("cluster name %q is not valid: use letters, digits and dashes, like %q", name, "demo")
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for the cluster's data: set XDG_STATE_HOME to an absolute path: %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "weir", name), nil
}
