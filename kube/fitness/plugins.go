package fitness

import (
	"context"
	"errors"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/interpodaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeports"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeunschedulable"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodevolumelimits"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/podtopologyspread"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/tainttoleration"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/volumebinding"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/volumerestrictions"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/volumezone"
)

// bindSeconds is how long a placed pod's volumes may take to be provisioned
// before its place is given up; kube-scheduler's own default.
const bindSeconds = 600

// plugins are kube-scheduler's filters in the order in which they are asked:
// cheap ones first. NodeName has no part, as a pod with a node is never
// asked about; NodeResourcesFit and DynamicResources are the engine's.
type plugins struct {
	static  []fwk.FilterPlugin // look at the node's labels and taints only
	all     []fwk.FilterPlugin
	volumes *volumebinding.VolumeBinding
}

func newPlugins(h *handle) (plugins, error) {
	fts := feature.NewSchedulerFeaturesFromGates(utilfeature.DefaultFeatureGate)
	h.csi = nodevolumelimits.NewCSIManager(h.factory.Storage().V1().CSINodes().Lister())

	var errs []error
	start := func(p fwk.Plugin, err error) fwk.FilterPlugin {
		errs = append(errs, err)
		filter, _ := p.(fwk.FilterPlugin)
		return filter
	}
	ctx := context.Background()
	static := []fwk.FilterPlugin{
		start(nodeunschedulable.New(ctx, nil, h, fts)),
		start(tainttoleration.New(ctx, nil, h, fts)),
		start(nodeaffinity.New(ctx, &config.NodeAffinityArgs{}, h, fts)),
	}
	volumes := start(volumebinding.New(ctx, &config.VolumeBindingArgs{BindTimeoutSeconds: bindSeconds}, h, fts))
	spread := &config.PodTopologySpreadArgs{DefaultingType: config.ListDefaulting}
	moving := []fwk.FilterPlugin{
		start(nodeports.New(ctx, nil, h, fts)),
		start(volumerestrictions.New(ctx, nil, h, fts)),
		start(volumezone.New(ctx, nil, h, fts)),
		start(nodevolumelimits.NewCSI(ctx, nil, h, fts)),
		volumes,
		start(podtopologyspread.New(ctx, spread, h, fts)),
		start(interpodaffinity.New(ctx, &config.InterPodAffinityArgs{}, h, fts)),
	}
	if err := errors.Join(errs...); err != nil {
		return plugins{}, err
	}
	return plugins{
		static:  static,
		all:     append(static[:len(static):len(static)], moving...),
		volumes: volumes.(*volumebinding.VolumeBinding),
	}, nil
}

// handle is what the plugins see of a scheduler. Methods that no filter calls
// are left to the nil interface.
type handle struct {
	fwk.Handle
	factory informers.SharedInformerFactory
	client  kubernetes.Interface
	scene   *scene
	csi     fwk.CSIManager
}

func (h *handle) SnapshotSharedLister() fwk.SharedLister                 { return h.scene }
func (h *handle) SharedInformerFactory() informers.SharedInformerFactory { return h.factory }
func (h *handle) ClientSet() kubernetes.Interface                        { return h.client }
func (h *handle) SharedCSIManager() fwk.CSIManager                       { return h.csi }
func (h *handle) Parallelizer() fwk.Parallelizer                         { return inTurn{} }

// inTurn does pieces of work one after the other: a Book is asked by one
// goroutine, which has to get the same answer every time.
type inTurn struct{}

func (inTurn) Until(_ context.Context, pieces int, do workqueue.DoWorkPieceFunc, _ string) {
	for i := range pieces {
		do(i)
	}
}
