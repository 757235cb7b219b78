// Package local runs a whole cluster in this process: the embedded Kubernetes,
// simulated GPU nodes, Weir's admission webhook and scheduler, and if asked
// for, the replay of a trace. It is what `weir up` does.
//
// It puts together what other packages do, in the order in which each can
// start, and stops it in the opposite order. It reaches nothing beyond the
// loopback address, and writes only below the cluster's directory.
package local

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/weir-gpu/weir/cli"
	"github.com/weir-gpu/weir/cli/webhook"
	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/cluster/install"
	"github.com/weir-gpu/weir/cluster/pki"
	"github.com/weir-gpu/weir/cluster/realnode"
	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/admit"
	"github.com/weir-gpu/weir/kube/live"
)

// Up runs a cluster until ctx ends or a part of it does.
func Up(ctx context.Context, o cli.UpOptions) (err error) {
	began := time.Now()
	// An API server makes much garbage and keeps little: with the default a
	// quarter of its processor time goes into collecting.
	debug.SetGCPercent(300)
	dir, err := cluster.StateDir(o.Name)
	if err != nil {
		return err
	}
	if o.RealNode {
		if err := checkReal(o, dir); err != nil { // before anything is started
			return err
		}
	}
	logger, logs, err := openLog(dir)
	if err != nil {
		return err
	}
	defer logs.Close()
	c, err := cluster.Start(ctx, cluster.Options{Dir: dir, Fresh: o.Fresh, Port: o.Port, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	if o.Fresh {
		if err := logs.Truncate(0); err != nil {
			return err
		}
	}
	r := &rooms{o: o, c: c, log: logger, failed: make(chan error, 8)}
	running, stop := context.WithCancel(ctx)
	defer r.group.Wait()
	defer stop()
	defer func() { err = errors.Join(err, r.stopReal()) }()
	if err := r.start(running); err != nil {
		return err
	}
	r.greet(began)
	return r.wait(ctx, running)
}

// openLog opens the file that takes the log of Weir's own parts.
func openLog(dir string) (*slog.Logger, *os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("no place for the cluster's log: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "weir.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("no place for the cluster's log: %w", err)
	}
	return slog.New(slog.NewTextHandler(f, nil)), f, nil
}

// rooms are the parts that run beside the cluster.
type rooms struct {
	o      cli.UpOptions
	c      *cluster.Cluster
	log    *slog.Logger
	group  sync.WaitGroup
	failed chan error
	hold   func(time.Duration) // holds up what runs on the simulated nodes
	real   *realnode.Node      // this machine as a node; nil where it is none
	gpus   int
	nodes  int
}

// run starts a part. A part that ends before ctx does has failed.
func (r *rooms) run(ctx context.Context, name string, part func(context.Context) error) {
	r.group.Go(func() {
		err := part(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("it ended by itself")
		}
		r.failed <- fmt.Errorf("%s: %w", name, err)
	})
}

// start starts the parts, each when what it needs is there.
func (r *rooms) start(ctx context.Context) error {
	registered := make(chan error, 1) // many nodes take a while
	r.group.Go(func() { registered <- r.startNodes(ctx) })
	if err := install.Kinds(ctx, r.c.Config()); err != nil {
		return err
	}
	if err := r.startAdmission(ctx); err != nil {
		return err
	}
	if err := <-registered; err != nil {
		return err
	}
	if err := r.startReal(ctx); err != nil {
		return err
	}
	if err := r.count(ctx); err != nil {
		return err
	}
	if err := r.welcome(ctx); err != nil {
		return err
	}
	scheduler, err := live.New(live.Options{Config: r.c.Config(), Logger: r.log})
	if err != nil {
		return err
	}
	r.run(ctx, "the scheduler", scheduler.Run)
	return r.until(ctx, "the scheduler", scheduler.Ready)
}

// startAdmission serves the webhook with the cluster's own certificate.
func (r *rooms) startAdmission(ctx context.Context) error {
	files, err := pki.Ensure(filepath.Join(r.c.Dir, "pki"), time.Now())
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(files.CACert)
	if err != nil {
		return err
	}
	server, err := webhook.New(r.c.Config(), r.log)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("no port for the admission webhook: %w", err)
	}
	certificate := &webhook.File{Certificate: files.ServerCert, Key: files.ServerKey}
	load := func() (*tls.Certificate, error) { return certificate.Load() }
	r.run(ctx, "the admission webhook", server.Follow)
	r.run(ctx, "the admission webhook", func(ctx context.Context) error { return server.Serve(ctx, listener, load) })
	if err := r.until(ctx, "the admission webhook", server.Ready); err != nil {
		return err
	}
	at := admit.Endpoint{URL: "https://" + listener.Addr().String() + admit.Path, CABundle: authority}
	if err := server.Register(ctx, at); err != nil {
		return err
	}
	r.run(ctx, "the admission webhook", func(ctx context.Context) error {
		return server.Keep(ctx, func(ctx context.Context) error {
			_, err := server.Tell(ctx, nil)
			return err
		})
	})
	return nil
}

// startNodes makes the simulated nodes: those that were asked for, or those
// that are there from an earlier run.
func (r *rooms) startNodes(ctx context.Context) error {
	specs, err := r.shape(ctx)
	if err != nil {
		return err
	}
	fleet, err := simnode.New(simnode.Options{Config: r.c.Config(), Nodes: specs, Logs: true, Logger: r.log})
	if err != nil {
		return err
	}
	r.hold = fleet.Hold
	r.run(ctx, "the simulated nodes", fleet.Run)
	select {
	case <-fleet.Ready():
	case err := <-r.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// until waits until a part is ready.
func (r *rooms) until(ctx context.Context, name string, ready func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case err := <-r.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("stopped before %s was ready: %w", name, ctx.Err())
		}
	}
	return nil
}

// wait replays if that was asked for, and waits for the end.
func (r *rooms) wait(ctx, running context.Context) error {
	replayed := make(chan error, 1)
	if r.o.Replay != "" {
		r.group.Go(func() { replayed <- r.replay(running) })
	}
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(r.o.Out, "\nstopping; the cluster's data stays for the next weir up")
			return nil
		case err := <-replayed:
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("the replay: %w", err)
			}
			if r.o.Exit {
				return nil
			}
			fmt.Fprintln(r.o.Out, "\nThe cluster stays up for you to look around; Ctrl-C stops it.")
		case err := <-r.failed:
			return err
		case <-r.c.Done():
			return fmt.Errorf("the API server ended; see %s", filepath.Join(r.c.Dir, "control-plane.log"))
		}
	}
}
