// Package dra is the node agent's side towards Kubernetes, as a DRA driver of
// the kubelet. It publishes the node's devices; of what a claim was granted it
// makes a job of the agent and, for the container runtime, a file that says
// what the claim's containers are given.
//
// What is prepared is written down by the agent and in those files, and
// nowhere else. It is asked for again after any failure: a claim that is
// prepared is not prepared twice. What has no claim any more is taken away
// when the plugin starts, and now and then.
//
// It decides nothing: who has what stands in the claim.
package dra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"
	"k8s.io/dynamic-resource-allocation/resourceslice"
	"k8s.io/klog/v2"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/claim"
	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/cdi"
	"github.com/weir-gpu/weir/node/health"
	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/sched"
)

// Options are what a plugin is made of.
type Options struct {
	Client    kubernetes.Interface
	Node      string // its name in the cluster
	Kubelet   string // the kubelet's folder
	Jobs      Jobs
	Devices   []parts.Device
	Libraries *cdi.Libraries
	Folder    cdi.Folder
	// Look asks the driver which devices there are now, every LookEvery: those
	// that are not there any more are published as unhealthy, and when they are
	// not there the next time either, as lost.
	Look      func(context.Context) ([]parts.Device, error)
	LookEvery time.Duration
	// SweepEvery is how often it is looked for jobs that have no claim any more.
	SweepEvery time.Duration
	Logger     *slog.Logger
}

// Jobs are those of the agent.
type Jobs interface {
	Hold(agent.Hold, agent.Request, []parts.Part) (agent.Held, error)
	Drop(by string) error
	Holds() ([]agent.Held, error)
}

// Plugin is one node's.
type Plugin struct {
	Options
	health *health.Book
	turn   sync.Mutex // of what prepares and what takes away
}

// New returns a plugin that has not begun.
func New(o Options) *Plugin { return &Plugin{Options: o, health: health.New(o.Devices)} }

// Run serves the kubelet until ctx ends. What is prepared stays.
func (p *Plugin) Run(ctx context.Context) error {
	p.sweep(ctx)
	data := filepath.Join(p.Kubelet, "plugins", ask.Driver)
	registry := filepath.Join(p.Kubelet, "plugins_registry")
	for _, dir := range []string{data, registry} { // a kubelet that begins later finds them
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("the kubelet's folder: %w", err)
		}
	}
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(p.Logger.Handler()))
	helper, err := kubeletplugin.Start(ctx, p,
		kubeletplugin.DriverName(ask.Driver),
		kubeletplugin.NodeName(p.Node),
		kubeletplugin.KubeClient(p.Client),
		kubeletplugin.PluginDataDirectoryPath(data),
		kubeletplugin.RegistrarDirectoryPath(registry),
	)
	if err != nil {
		return err
	}
	defer helper.Stop()
	p.look(ctx) // some may have been lost while no agent looked
	if err := helper.PublishResources(ctx, p.resources()); err != nil {
		return err
	}
	p.Logger.Info("devices are published", "node", p.Node, "devices", len(p.Devices))
	look, sweep := time.NewTicker(p.LookEvery), time.NewTicker(p.SweepEvery)
	defer look.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			if p.look(ctx) {
				if err := helper.PublishResources(ctx, p.resources()); err != nil {
					return err
				}
			}
		case <-sweep.C:
			p.sweep(ctx)
		}
	}
}

// name is a device's in the cluster.
func name(d parts.Device) string { return fmt.Sprintf("gpu-%d", d.Ordinal) }

// resources are what is published.
func (p *Plugin) resources() resourceslice.DriverResources {
	var devices []resourcev1.Device
	for _, d := range p.Devices {
		device := claim.Published(sched.Device{
			Name: name(d), Model: d.Name, MemoryMiB: int64(d.Memory >> 20), ComputeMilli: sched.WholeCompute,
			Unhealthy: p.health.Of(d) != health.Well,
		}, d.UUID)
		if p.health.Of(d) == health.Lost {
			device.Taints = []resourcev1.DeviceTaint{claim.Lost()}
		}
		devices = append(devices, device)
	}
	return resourceslice.DriverResources{Pools: map[string]resourceslice.Pool{
		p.Node: {Slices: []resourceslice.Slice{{Devices: devices}}},
	}}
}

// look asks the driver for its devices. It reports whether anything has changed
// in how they are.
func (p *Plugin) look(ctx context.Context) (changed bool) {
	there, err := p.Look(ctx)
	if ctx.Err() != nil {
		return false
	}
	for _, d := range p.health.Answer(there, err) {
		changed = true
		p.Logger.Warn("a device's health has changed", "device", name(d), "healthy", p.health.Of(d) == health.Well,
			"lost", p.health.Of(d) == health.Lost, "driver", err)
	}
	return changed
}

// PrepareResourceClaims makes what the containers of claims need.
func (p *Plugin) PrepareResourceClaims(ctx context.Context, claims []*resourcev1.ResourceClaim) (
	map[types.UID]kubeletplugin.PrepareResult, error,
) {
	p.turn.Lock()
	defer p.turn.Unlock()
	results := map[types.UID]kubeletplugin.PrepareResult{}
	for _, c := range claims {
		devices, err := p.prepare(ctx, c)
		if err != nil {
			p.Logger.Warn("a claim could not be prepared", "claim", c.Namespace+"/"+c.Name, "error", err)
		}
		results[c.UID] = kubeletplugin.PrepareResult{Devices: devices, Err: err}
	}
	return results, nil
}

// UnprepareResourceClaims takes away what was prepared for claims.
func (p *Plugin) UnprepareResourceClaims(_ context.Context, claims []kubeletplugin.NamespacedObject) (
	map[types.UID]error, error,
) {
	p.turn.Lock()
	defer p.turn.Unlock()
	results := map[types.UID]error{}
	for _, c := range claims {
		results[c.UID] = p.unprepare(c.UID)
	}
	return results, nil
}

// HandleError tells of what went wrong beside any call. Slices that cannot be
// written are written later.
func (p *Plugin) HandleError(_ context.Context, err error, what string) {
	p.Logger.Warn(what, "error", err, "recoverable", errors.Is(err, kubeletplugin.ErrRecoverable))
}
