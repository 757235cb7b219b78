package cluster

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"k8s.io/client-go/rest"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
)

// maxLog is the size from which the log of earlier runs is put aside.
const maxLog = 16 << 20

func init() {
	// Every component of Kubernetes sets up logging for its process; here
	// they share one.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
}

// redirectLogs sends what Kubernetes' libraries log to a file. They log
// through one logger of the process, so this is for the process as a whole.
func redirectLogs(path string) (io.Closer, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of the control plane: %w", err)
	}
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(f, nil)))
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	return f, nil
}
