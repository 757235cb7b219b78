package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/weir-gpu/weir/cli"
	"github.com/weir-gpu/weir/cli/webhook"
	"github.com/weir-gpu/weir/kube/live"
)

// schedule runs the scheduler, and the admission webhook where it has an
// address, until ctx ends or one of them does.
func schedule(ctx context.Context, o cli.SchedulerOptions) error {
	scheduler, err := live.New(live.Options{
		Config: o.Config, Logger: o.Logger,
		LeaderElect: o.LeaderElect, LeaseNamespace: o.LeaseNamespace, Address: o.MetricsAddress,
	})
	if err != nil {
		return err
	}
	parts := []func(context.Context) error{scheduler.Run}
	if o.WebhookAddress != "" {
		server, err := webhook.New(o.Config, o.Logger)
		if err != nil {
			return err
		}
		certificate := &webhook.File{Certificate: o.CertificateFile, Key: o.KeyFile}
		if _, err := certificate.Load(); err != nil {
			return err
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.WebhookAddress)
		if err != nil {
			return fmt.Errorf("--webhook-address %s cannot be listened on: %w", o.WebhookAddress, err)
		}
		parts = append(parts, server.Follow, func(ctx context.Context) error {
			return server.Serve(ctx, listener, certificate.Load)
		})
	}
	return together(ctx, parts...)
}

// together runs all parts until one ends, and returns when all have.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(parts))
	var running sync.WaitGroup
	for i, part := range parts {
		running.Go(func() {
			defer stop()
			errs[i] = part(ctx)
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
