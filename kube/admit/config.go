package admit

import (
	"context"
	"log/slog"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/kube/workload"
)

// Config tells the webhook of the cluster. All functions are called from many
// goroutines.
type Config struct {
	// ProjectOf returns the project that the namespace's pods belong to where
	// they name none themselves, or "".
	ProjectOf func(namespace string) string
	// Owners returns all departments and projects; they are not changed.
	Owners func() ([]v1alpha1.Department, []v1alpha1.Project)
	// Look finds a department, project or node pool at the API server itself, and
	// reports whether it is there: what was made a moment ago may not have been
	// seen yet. It is asked before anything is refused because of such an object.
	// nil looks nowhere.
	Look func(ctx context.Context, resource, name string, into runtime.Object) bool
	// NodePools returns the names of the node pools, the default one included.
	NodePools func() []string
	// Overlaps says, a sentence each, which nodes of a node pool other pools
	// select too; nil says nothing.
	Overlaps func(*v1alpha1.NodePool) []string
	// Room returns what the largest ask can be given.
	Room func() Room
	// Rule returns the rule for a kind of objects that make pods, or nil.
	Rule func(schema.GroupKind) *workload.Rule
	// Claims finds the claims and templates that pods refer to.
	Claims ask.Claims
	// Templates makes sure that a claim template exists.
	Templates interface {
		Ensure(ctx context.Context, t *resourcev1.ResourceClaimTemplate) error
	}
	Log *slog.Logger
}

// Room is what a cluster has when nothing runs in it. The zero Room is that of
// a cluster of which nothing is known yet, where nothing is refused as too
// large.
type Room struct {
	Devices   int   // GPUs in all
	OnOneNode int   // GPUs of the node that has the most
	OnePod    int   // the most that a node can give to one pod; 0: all that it has
	MemoryMiB int64 // of the largest GPU; 0: unknown
}
