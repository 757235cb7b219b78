package replay

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/cluster/install"
	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/live"
)

// Two projects share sixteen GPUs. The one without quota takes them all; then
// the other comes for its eight, and the first starts again when they end.
func TestReplay(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Options{Dir: t.TempDir(), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	if err := install.Kinds(ctx, c.Config()); err != nil {
		t.Fatal(err)
	}
	organisation := install.Organisation{
		Namespaces: []*corev1.Namespace{named("guest"), named("owner")},
		Projects:   []*v1alpha1.Project{quota("guest", "0"), quota("owner", "8")},
	}
	if err := organisation.Create(ctx, c.Config()); err != nil {
		t.Fatal(err)
	}
	stop := runParts(t, c)
	defer stop()

	items := pods("guest", 16, 0, "6s")
	items = append(items, pods("owner", 8, 4*time.Second, "3s")...)
	var out strings.Builder
	report, err := Run(ctx, Options{Config: c.Config(), Items: items, GPUs: 16, Out: &out, Every: 200 * time.Millisecond})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
	guest, owner := report.Projects[0], report.Projects[1]
	if report.Placed != 24 || report.Pods != 24 || report.Again != 8 {
		t.Errorf("%d of %d pods placed, %d submitted again; want 24 of 24, and 8", report.Placed, report.Pods, report.Again)
	}
	if guest.Most.Borrowed != 16 || guest.Reclaimed != 8 || owner.Reclaimed != 0 {
		t.Errorf("guest borrowed %v and lost %d, owner lost %d; want 16, 8 and 0",
			guest.Most.Borrowed, guest.Reclaimed, owner.Reclaimed)
	}
	if r := report.Receipts["reclaim"]; r.Project != "guest" || !strings.Contains(r.Note, "project owner") {
		t.Errorf("receipt of the reclaim is %+v, want one that names the owner", r)
	}
}

// runParts runs the nodes and the scheduler until stop is called.
func runParts(t *testing.T, c *cluster.Cluster) (stop func()) {
	t.Helper()
	specs, err := simnode.Shape(2, 8, "H100")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := simnode.New(simnode.Options{Config: c.Config(), Nodes: specs})
	if err != nil {
		t.Fatal(err)
	}
	scheduler, err := live.New(live.Options{Config: c.Config(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, part := range []func(context.Context) error{fleet.Run, scheduler.Run} {
		running.Go(func() {
			if err := part(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	<-fleet.Ready()
	return func() { cancel(); running.Wait() }
}

// pods returns preemptible pods of one GPU that all come at once.
func pods(project string, n int, at time.Duration, run string) []Item {
	items := make([]Item, n)
	for i := range items {
		name := fmt.Sprintf("pod-%d", i)
		items[i] = Item{Project: project, Name: name, At: at, Pods: 1, Object: func() Object {
			return &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
					ask.Preemptible: "true", simnode.DurationAnnotation: run,
				}},
				Spec: corev1.PodSpec{
					SchedulerName: ask.SchedulerName,
					RestartPolicy: corev1.RestartPolicyNever,
					Containers: []corev1.Container{{Name: "main", Image: "busybox", Resources: corev1.ResourceRequirements{
						Limits: corev1.ResourceList{ask.WholeGPU: resource.MustParse("1")},
					}}},
				},
			}
		}}
	}
	return items
}

func named(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func quota(name, gpus string) *v1alpha1.Project {
	q := resource.MustParse(gpus)
	return &v1alpha1.Project{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.ProjectSpec{Pools: []v1alpha1.PoolShare{{Name: "default", Quota: v1alpha1.Amount{GPU: &q}}}},
	}
}
