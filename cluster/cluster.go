package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/cluster/pki"
)

// Cluster is a running control plane.
type Cluster struct {
	// Dir is where the cluster lives.
	Dir string
	// KubeconfigPath is a kubeconfig file with an administrator's rights.
	KubeconfigPath string
	// Address is the URL of the API server.
	Address string

	log         *slog.Logger
	config      *rest.Config
	lock        *os.File
	logFile     io.Closer
	etcd        *etcd
	api         *apiServer
	controllers *controllers

	stopOnce sync.Once
	stopErr  error
}

// Start starts the cluster of a directory and returns when it answers. ctx
// bounds the start only; the cluster runs until [Cluster.Stop].
//
// The error is a [*BusyError] when another process runs that cluster.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil || opts.Dir == "" {
		return nil, errors.Join(errors.New("cluster: Options.Dir is empty: give the directory for the data"), err)
	}
	opts.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("no place for the cluster's data: %w", err)
	}
	held, err := lock(dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, log: opts.Logger, lock: held}
	if err := c.start(ctx, opts); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, opts Options) error {
	began := time.Now()
	if opts.Fresh {
		if err := wipe(c.Dir); err != nil {
			return fmt.Errorf("wipe %s: %w", c.Dir, err)
		}
	}
	logPath := filepath.Join(c.Dir, "control-plane.log")
	logFile, err := redirectLogs(logPath)
	if err != nil {
		return err
	}
	c.logFile = logFile

	files, err := pki.Ensure(filepath.Join(c.Dir, "pki"), began)
	if err != nil {
		return fmt.Errorf("keys of the cluster: %w", err)
	}
	listener, err := listen(c.Dir, opts.Port)
	if err != nil {
		return err
	}
	c.Address = "https://" + listener.Addr().String()
	if c.etcd, err = startEtcd(ctx, opts, logPath); err != nil {
		listener.Close()
		return err
	}
	flags := apiServerFlags(files, c.etcd.endpoint)
	for name, value := range opts.APIServerFlags {
		flags[name] = value
	}
	if c.api, err = startAPIServer(listener, flags); err != nil {
		listener.Close()
		return err
	}
	if c.KubeconfigPath, err = writeKubeconfig(c.Dir, c.Address, files); err != nil {
		return err
	}
	if c.config, err = inProcess(c.Address, files); err != nil {
		return err
	}
	if err := c.waitReady(ctx); err != nil {
		return fmt.Errorf("the API server did not get ready, see %s: %w", logPath, err)
	}
	if c.controllers, err = startControllers(c.config); err != nil {
		return err
	}
	c.log.Info("cluster is ready", "address", c.Address, "kubeconfig", c.KubeconfigPath,
		"kubernetes", Release(), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// Config returns a client configuration with an administrator's rights and
// without client-side rate limits.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Done is closed when the API server ends, by Stop or on its own.
func (c *Cluster) Done() <-chan struct{} { return c.api.done }

// Stop ends the cluster: first those who write, then the store. Everything
// that was acknowledged is on disk when it returns. Later calls wait for and
// return the same as the first.
func (c *Cluster) Stop() error {
	c.stopOnce.Do(func() { c.stopErr = c.stop() })
	return c.stopErr
}

func (c *Cluster) stop() error {
	began := time.Now()
	var err error
	if c.controllers != nil {
		c.controllers.shutdown()
	}
	if c.api != nil {
		err = c.api.shutdown()
	}
	if c.etcd != nil {
		c.etcd.close()
	}
	c.log.Info("cluster is stopped", "took", time.Since(began).Round(time.Millisecond))
	if c.logFile != nil {
		err = errors.Join(err, c.logFile.Close())
	}
	return errors.Join(err, c.lock.Close())
}

func (c *Cluster) waitReady(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return err
	}
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		_, last = client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.api.done:
			return errors.Join(errors.New("it ended"), c.api.err)
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), last)
		}
	}
}

// wipe removes what a cluster keeps in dir, and nothing else.
func wipe(dir string) error {
	for _, name := range []string{"etcd", "etcd.sock", "pki", "kubeconfig", "port", "control-plane.log"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
