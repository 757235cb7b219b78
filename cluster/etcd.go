package cluster

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// maxSocketPath is what every Unix allows as the path of a socket.
const maxSocketPath = 100

// etcd is the running store and the way to reach it.
type etcd struct {
	server   *embed.Etcd
	endpoint string
	tempDir  string // holds the socket when Dir is too deep for one
}

func startEtcd(ctx context.Context, opts Options, logPath string) (*etcd, error) {
	e := &etcd{}
	socket := filepath.Join(opts.Dir, "etcd.sock")
	if len(socket) > maxSocketPath {
		var err error
		if e.tempDir, err = os.MkdirTemp("", "weir-"); err != nil {
			return nil, err
		}
		socket = filepath.Join(e.tempDir, "etcd.sock")
	}
	e.endpoint = "unix://" + socket
	if err := e.start(ctx, etcdConfig(opts, socket, logPath)); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *etcd) start(ctx context.Context, cfg *embed.Config) error {
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start etcd in %s (--fresh starts over with an empty one): %w", cfg.Dir, err)
	}
	e.server = server
	select {
	case <-server.Server.ReadyNotify():
		return nil
	case err := <-server.Err():
		return fmt.Errorf("start etcd in %s: %w", cfg.Dir, err)
	case <-ctx.Done():
		return fmt.Errorf("etcd in %s did not get ready: %w", cfg.Dir, context.Cause(ctx))
	}
}

func etcdConfig(opts Options, socket, logPath string) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = "weir"
	cfg.Dir = filepath.Join(opts.Dir, "etcd")

	// One member has no peers to listen to. The advertised URLs are names
	// only: the peer's is part of the stored membership and must not change.
	cfg.ListenPeerUrls = nil
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "localhost:2380"}}
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "localhost:2379"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: socket}}

	// The API server compacts by itself; etcd's own compaction is off.
	cfg.QuotaBackendBytes = 8 << 30
	cfg.MaxRequestBytes = 8 << 20
	// Entries between snapshots stay in memory for members that lag behind.
	cfg.SnapshotCount = 5_000
	cfg.SnapshotCatchUpEntries = 100
	cfg.UnsafeNoFsync = opts.UnsafeNoFsync

	// embed leaves these at zero, which reports every request as slow.
	cfg.WarningApplyDuration = time.Second
	cfg.WarningUnaryRequestDuration = time.Second
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{logPath}
	return cfg
}

func (e *etcd) close() {
	if e.server != nil {
		e.server.Close()
	}
	if e.tempDir != "" {
		os.RemoveAll(e.tempDir)
	}
}
