package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/profile"
)

// Scheduler binds pods until ctx is done.
type Scheduler interface {
	Run(ctx context.Context, cfg *rest.Config) error
}

// subject is one who binds.
type subject struct {
	schedulerName string // of the pods that are its to bind
	scheduler     Scheduler
	// prepare makes what the subject needs beside nodes and pods.
	prepare func(context.Context, *bench) error
}

var subjects = map[string]subject{
	"raw":  {schedulerName: "raw", scheduler: plainClient{}},
	"kube": {schedulerName: "default-scheduler", scheduler: kubeScheduler{}},
}

// kubeScheduler is kube-scheduler with its default profile and without the
// limits on its clients.
type kubeScheduler struct{}

func (kubeScheduler) Run(ctx context.Context, cfg *rest.Config) error {
	client, err := kubernetes.NewForConfig(protobuf(cfg))
	if err != nil {
		return err
	}
	config, err := latest.Default()
	if err != nil {
		return err
	}
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(ctx.Done())

	informers := scheduler.NewInformerFactory(client, 0)
	s, err := scheduler.New(ctx, client, informers, nil, profile.NewRecorderFactory(broadcaster),
		scheduler.WithKubeConfig(cfg),
		scheduler.WithProfiles(config.Profiles...),
		scheduler.WithParallelism(config.Parallelism),
	)
	if err != nil {
		return fmt.Errorf("kube-scheduler: %w", err)
	}
	informers.Start(ctx.Done())
	informers.WaitForCacheSync(ctx.Done())
	if err := s.WaitForHandlersSync(ctx); err != nil {
		return err
	}
	s.Run(ctx)
	return nil
}

// protobuf returns cfg for clients of Kubernetes' own types.
func protobuf(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType = runtime.ContentTypeProtobuf
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return cfg
}
