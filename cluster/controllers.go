package cluster

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"
	"k8s.io/controller-manager/pkg/clientbuilder"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
	controllerconfig "k8s.io/kubernetes/pkg/controller/apis/config"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
)

// controllerNames are the controllers of kube-controller-manager that run:
// those that make and end pods and claims, that bind volumes, and that watch
// over nodes.
var controllerNames = []string{
	names.NamespaceController,
	names.ServiceAccountController,
	names.GarbageCollectorController,
	names.PodGarbageCollectorController,
	names.JobController,
	names.CronJobController,
	names.DeploymentController,
	names.ReplicaSetController,
	names.StatefulSetController,
	names.DaemonSetController,
	names.DisruptionController,
	names.ResourceClaimController,
	names.PersistentVolumeBinderController,
	names.TTLAfterFinishedController,
	names.NodeLifecycleController,
	names.TaintEvictionController,
	names.DeviceTaintEvictionController,
	names.ClusterRoleAggregationController,
}

// NodeGrace is how long a node may be silent before it counts as lost.
// Simulated nodes renew their leases three times in it.
const NodeGrace = 15 * time.Minute

// controllerStop bounds how long the controllers may take to end.
const controllerStop = 5 * time.Second

// controllers is a running set of controllers.
type controllers struct {
	stop context.CancelFunc
	done chan struct{}
}

// startControllers starts what kube-controller-manager would, without its
// own server and leader election, which a single process has no use for.
func startControllers(cfg *rest.Config) (*controllers, error) {
	ctx, stop := context.WithCancel(context.Background())
	controllerCtx, err := controllerContext(ctx, cfg)
	if err != nil {
		stop()
		return nil, fmt.Errorf("prepare controllers: %w", err)
	}
	all := app.NewControllerDescriptors()
	chosen := make(map[string]*app.ControllerDescriptor, len(controllerNames))
	for _, name := range controllerNames {
		chosen[name] = all[name]
	}
	built, err := app.BuildControllers(ctx, controllerCtx, chosen, nil, noHealthChecks{})
	if err != nil {
		stop()
		return nil, fmt.Errorf("build controllers: %w", err)
	}
	controllerCtx.InformerFactory.Start(ctx.Done())
	controllerCtx.ObjectOrMetadataInformerFactory.Start(ctx.Done())
	close(controllerCtx.InformersStarted)

	c := &controllers{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		app.RunControllers(ctx, controllerCtx, built, 0, controllerStop)
		controllerCtx.InformerFactory.Shutdown()
	}()
	return c, nil
}

func (c *controllers) shutdown() {
	c.stop()
	<-c.done
}

func controllerContext(ctx context.Context, cfg *rest.Config) (app.ControllerContext, error) {
	component, err := controllerSettings()
	if err != nil {
		return app.ControllerContext{}, err
	}
	clients := clientbuilder.SimpleControllerClientBuilder{ClientConfig: protobuf(cfg)}
	client, err := kubernetes.NewForConfig(protobuf(cfg))
	if err != nil {
		return app.ControllerContext{}, err
	}
	meta, err := metadata.NewForConfig(cfg)
	if err != nil {
		return app.ControllerContext{}, err
	}
	discovery, err := clients.DiscoveryClient("controller-discovery")
	if err != nil {
		return app.ControllerContext{}, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery))
	go wait.Until(mapper.Reset, 30*time.Second, ctx.Done())

	resync := func() time.Duration { return 12 * time.Hour }
	shared := informers.NewSharedInformerFactoryWithOptions(client, resync(),
		informers.WithTransform(dropManagedFields))
	metadataInformers := metadatainformer.NewSharedInformerFactoryWithOptions(meta, resync(),
		metadatainformer.WithTransform(dropManagedFields))
	both := informerfactory.NewInformerFactory(shared, metadataInformers)

	started := make(chan struct{})
	ignored := map[schema.GroupResource]struct{}{}
	for _, r := range component.GarbageCollectorController.GCIgnoredResources {
		ignored[schema.GroupResource{Group: r.Group, Resource: r.Resource}] = struct{}{}
	}
	graph := garbagecollector.NewDependencyGraphBuilder(ctx, meta, mapper, ignored, both, started)
	return app.ControllerContext{
		ClientBuilder:                   clients,
		InformerFactory:                 shared,
		ObjectOrMetadataInformerFactory: both,
		ComponentConfig:                 component,
		RESTMapper:                      mapper,
		InformersStarted:                started,
		ResyncPeriod:                    resync,
		ControllerManagerMetrics:        controllersmetrics.NewControllerManagerMetrics("weir"),
		GraphBuilder:                    graph,
	}, nil
}

func controllerSettings() (controllerconfig.KubeControllerManagerConfiguration, error) {
	c, err := options.NewDefaultComponentConfig()
	if err != nil {
		return c, err
	}
	c.Generic.Controllers = []string{"*"}
	c.Generic.ControllerStartInterval = metav1.Duration{}
	c.KubeCloudShared.AllocateNodeCIDRs = false

	// Thousands of pods come and go at once in a replay.
	c.JobController.ConcurrentJobSyncs = 20
	c.ReplicaSetController.ConcurrentRSSyncs = 20
	c.DeploymentController.ConcurrentDeploymentSyncs = 20
	c.StatefulSetController.ConcurrentStatefulSetSyncs = 20
	c.ResourceClaimController.ConcurrentSyncs = 50
	c.TTLAfterFinishedController.ConcurrentTTLSyncs = 10

	c.NodeLifecycleController.NodeMonitorGracePeriod = metav1.Duration{Duration: NodeGrace}
	c.NodeLifecycleController.NodeStartupGracePeriod = metav1.Duration{Duration: NodeGrace}
	c.NodeLifecycleController.NodeEvictionRate = 100
	return c, nil
}

// dropManagedFields saves the memory of what no controller reads.
func dropManagedFields(obj any) (any, error) {
	if o, ok := obj.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	return obj, nil
}

// noHealthChecks takes the controllers' health checks, which nobody asks for.
type noHealthChecks struct{}

func (noHealthChecks) AddHealthChecker(...healthz.HealthChecker) {}
