package kill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/cluster/install"
	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// plant is an embedded cluster with room for a burst.
type plant struct {
	cluster    *cluster.Cluster
	kube       kubernetes.Interface
	kubeconfig string
	pods       int // that are submitted
	capacity   map[place]int64
}

const gpusPerNode = 8

// startPlant starts a cluster whose count nodes just hold the burst, so that a
// grant too many shows; devices that are shared leave some room, because parts
// do not add up to whole nodes.
func startPlant(ctx context.Context, t *testing.T, b *burst) *plant {
	t.Helper()
	c, err := cluster.Start(ctx, cluster.Options{Dir: t.TempDir(), Fresh: true, UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	p := &plant{cluster: c, kubeconfig: c.KubeconfigPath, pods: b.pods}
	t.Cleanup(func() {
		if err := p.cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	cfg := rest.CopyConfig(c.Config())
	cfg.QPS, cfg.ContentType = -1, "application/vnd.kubernetes.protobuf"
	if p.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		t.Fatal(err)
	}
	if err := install.Kinds(ctx, c.Config()); err != nil {
		t.Fatal(err)
	}
	if err := organisation(b).Create(ctx, c.Config()); err != nil {
		t.Fatal(err)
	}
	p.runNodes(t, c.Config(), append(nodes(counted, b.gpus[counted], 100), nodes(published, b.gpus[published], 125)...))
	if err := p.measure(ctx); err != nil {
		t.Fatal(err)
	}
	return p
}

// restart ends the control plane and starts it again, after a while, where it
// was. The nodes and all clients live on.
func (p *plant) restart(ctx context.Context, t *testing.T, away time.Duration) {
	t.Helper()
	if err := p.cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(away)
	again, err := cluster.Start(ctx, cluster.Options{Dir: p.cluster.Dir, UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	if again.Address != p.cluster.Address {
		t.Fatalf("the API server is at %s now, and it was at %s", again.Address, p.cluster.Address)
	}
	p.cluster = again
}

// organisation is one project that owns what the burst needs.
func organisation(b *burst) install.Organisation {
	quota := resource.NewQuantity((b.gpus[counted]+b.gpus[published])/sched.GPU+1, resource.DecimalSI)
	return install.Organisation{
		Namespaces: []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: namespace}}},
		Projects: []*v1alpha1.Project{{
			ObjectMeta: metav1.ObjectMeta{Name: namespace},
			Spec: v1alpha1.ProjectSpec{Pools: []v1alpha1.PoolShare{{
				Name: v1alpha1.DefaultPool, Quota: v1alpha1.Amount{GPU: quota},
			}}},
		}},
	}
}

// nodes returns nodes of a sort that hold so many per cent of a demand.
func nodes(sort string, demand, percent int64) []simnode.Spec {
	const node = gpusPerNode * sched.GPU * 100
	specs, err := simnode.Shape(int((demand*percent+node-1)/node)+1, gpusPerNode, "H100")
	if err != nil {
		panic(err) // its arguments are constants
	}
	for i := range specs {
		specs[i].Name = sort + "-" + specs[i].Name
		specs[i].Counted = sort == counted
		specs[i].Labels = map[string]string{sortLabel: sort}
	}
	return specs
}

// runNodes lets the nodes live until the test ends.
func (p *plant) runNodes(t *testing.T, cfg *rest.Config, specs []simnode.Spec) {
	t.Helper()
	fleet, err := simnode.New(simnode.Options{Config: cfg, Nodes: specs, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- fleet.Run(ctx) }()
	select {
	case <-fleet.Ready():
		t.Cleanup(func() { cancel(); <-ended })
	case err := <-ended:
		cancel()
		t.Fatalf("the simulated nodes ended: %v", err)
	}
}

// measure reads from the API what there is to grant.
func (p *plant) measure(ctx context.Context) error {
	nodes, err := p.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	published, err := p.kube.ResourceV1().ResourceSlices().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	p.capacity = capacities(nodes.Items, published.Items)
	return nil
}

// grace is how long what a killed scheduler left may lie about.
const grace = time.Minute

// settled waits until each pod holds what it asked for, once, and nothing else
// is held.
func (p *plant) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for {
		err := p.complete(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", grace, err)
		}
	}
}

// complete compares pods and claims as the API shows them.
func (p *plant) complete(ctx context.Context) error {
	pods, err := p.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	claims, err := p.kube.ResourceV1().ResourceClaims(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	if len(pods.Items) != p.pods {
		errs = append(errs, fmt.Errorf("there are %d pods, and %d were submitted", len(pods.Items), p.pods))
	}
	of := map[string][]*resourcev1.ResourceClaim{} // by the pod that owns them
	for i := range claims.Items {
		owner := metav1.GetControllerOf(&claims.Items[i])
		if owner == nil {
			errs = append(errs, fmt.Errorf("claim %s belongs to no pod", claims.Items[i].Name))
			continue
		}
		of[string(owner.UID)] = append(of[string(owner.UID)], &claims.Items[i])
	}
	for i := range pods.Items {
		errs = append(errs, holdsOnce(&pods.Items[i], of[string(pods.Items[i].UID)]))
		delete(of, string(pods.Items[i].UID))
	}
	for _, claims := range of {
		errs = append(errs, fmt.Errorf("claim %s belongs to a pod that is gone", claims[0].Name))
	}
	return errors.Join(errs...)
}

// holdsOnce checks that a pod is bound and holds all it asks for, and not more.
func holdsOnce(pod *corev1.Pod, claims []*resourcev1.ResourceClaim) error {
	if pod.Spec.NodeName == "" {
		return fmt.Errorf("pod %s is not bound", pod.Name)
	}
	gpus := pod.Spec.Containers[0].Resources.Limits[ask.WholeGPU]
	want := int(gpus.Value())
	switch {
	case len(pod.Spec.ResourceClaims) > 0:
		want = 1
	case pod.Spec.NodeSelector[sortLabel] == counted:
		want = 0
	}
	if !strings.HasPrefix(pod.Spec.NodeName, pod.Spec.NodeSelector[sortLabel]) {
		return fmt.Errorf("pod %s is on node %s, which it does not allow", pod.Name, pod.Spec.NodeName)
	}
	if len(claims) != min(want, 1) {
		return fmt.Errorf("pod %s has %d claims, and it should be %d", pod.Name, len(claims), min(want, 1))
	}
	for _, c := range claims {
		if err := servesPod(c, pod, want); err != nil {
			return err
		}
	}
	return nil
}

// servesPod checks that a claim holds so many devices of the pod's node for it.
func servesPod(c *resourcev1.ResourceClaim, pod *corev1.Pod, devices int) error {
	if c.Status.Allocation == nil {
		return fmt.Errorf("claim %s of bound pod %s holds nothing", c.Name, pod.Name)
	}
	if r := c.Status.ReservedFor; len(r) != 1 || r[0].UID != pod.UID {
		return fmt.Errorf("claim %s is reserved for %v, and it should be pod %s alone", c.Name, r, pod.Name)
	}
	seen := map[string]bool{}
	for _, r := range c.Status.Allocation.Devices.Results {
		if r.Pool != pod.Spec.NodeName {
			return fmt.Errorf("claim %s holds %s of node %s, and pod %s is on %s",
				c.Name, r.Device, r.Pool, pod.Name, pod.Spec.NodeName)
		}
		seen[r.Device] = true
	}
	if len(seen) != devices {
		return fmt.Errorf("claim %s of pod %s holds %d devices, and it should be %d", c.Name, pod.Name, len(seen), devices)
	}
	return nil
}
