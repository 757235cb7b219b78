package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"

	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/weir-gpu/weir/cli"
	"github.com/weir-gpu/weir/cli/webhook"
	"github.com/weir-gpu/weir/kube/live"
	"github.com/weir-gpu/weir/kube/trust"
)

// schedule runs the scheduler, and the admission webhook where it has an
// address, until ctx ends or one of them does.
func schedule(ctx context.Context, o cli.SchedulerOptions) error {
	if os.Getenv("GOGC") == "" {
		// What a scheduler keeps is small and long-lived; with the default a
		// fifth of its time goes into looking through it (make bench-engine).
		debug.SetGCPercent(300)
	}
	options := live.Options{
		Config: o.Config, Logger: o.Logger, Name: o.Instance,
		LeaderElect: o.LeaderElect, LeaseNamespace: o.LeaseNamespace, Address: o.MetricsAddress,
	}
	var parts []func(context.Context) error
	if o.WebhookAddress != "" {
		hook, err := admission(ctx, o)
		if err != nil {
			return err
		}
		options.ReadyToo = hook.ready
		parts = hook.parts
	}
	scheduler, err := live.New(options)
	if err != nil {
		return err
	}
	return together(ctx, append(parts, scheduler.Run)...)
}

// hook is the admission webhook, put together.
type hook struct {
	parts []func(context.Context) error
	ready func() error
}

func admission(ctx context.Context, o cli.SchedulerOptions) (hook, error) {
	server, err := webhook.New(o.Config, o.Logger)
	if err != nil {
		return hook{}, err
	}
	certificate, look, err := certificate(o, server)
	if err != nil {
		return hook{}, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.WebhookAddress)
	if err != nil {
		return hook{}, fmt.Errorf("--webhook-address %s cannot be listened on: %w", o.WebhookAddress, err)
	}
	return hook{
		parts: []func(context.Context) error{
			server.Follow,
			func(ctx context.Context) error { return server.Keep(ctx, look) },
			func(ctx context.Context) error { return server.Serve(ctx, listener, certificate) },
		},
		ready: func() error {
			if !server.Ready() {
				return errors.New("the admission webhook has not seen the cluster yet")
			}
			_, err := certificate()
			return err
		},
	}, nil
}

// certificate returns what the webhook serves with, and what keeps that and the
// webhook's registration up to date.
func certificate(o cli.SchedulerOptions, server *webhook.Server) (
	serving func() (*tls.Certificate, error), look func(context.Context) error, err error,
) {
	if o.CertificateSecret.Name == "" {
		file := &webhook.File{Certificate: o.CertificateFile, Key: o.KeyFile}
		_, err := file.Load()
		return file.Load, func(ctx context.Context) error {
			_, err := server.Tell(ctx, nil) // who renews the files tells API servers whom to trust
			return err
		}, err
	}
	kube, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, nil, err
	}
	keeper := &trust.Keeper{
		Kube: kube, Clock: clock.RealClock{}, Secret: o.CertificateSecret,
		Hosts: trust.ServiceHosts(o.WebhookService), Tell: server.Tell,
	}
	return keeper.Certificate, keeper.Look, nil
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
