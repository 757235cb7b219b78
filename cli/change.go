package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/target"
	"github.com/weir-gpu/weir/kube/ask"
)

func (s *session) delete() *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME...",
		Aliases:           []string{"rm"},
		Short:             "Delete workloads with their pods",
		Args:              atLeastOne("workload"),
		ValidArgsFunction: s.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.eachTarget(cmd.Context(), args, s.deleteOne)
		},
	}
}

func (s *session) suspend() *cobra.Command {
	return &cobra.Command{
		Use:   "suspend NAME...",
		Short: "Put workloads aside: they keep their place in the list and start nothing",
		Long: `Put workloads aside until weir resume. A Job, CronJob or JobSet stops its pods,
and what they held is free. Of any other workload no further pod is started;
those that run go on.`,
		Args:              atLeastOne("workload"),
		ValidArgsFunction: s.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.eachTarget(cmd.Context(), args, func(ctx context.Context, c Clients, o target.Object) error {
				return s.setSuspended(ctx, c, o, true)
			})
		},
	}
}

func (s *session) resume() *cobra.Command {
	return &cobra.Command{
		Use:               "resume NAME...",
		Short:             "Let suspended workloads start again",
		Args:              atLeastOne("workload"),
		ValidArgsFunction: s.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.eachTarget(cmd.Context(), args, func(ctx context.Context, c Clients, o target.Object) error {
				return s.setSuspended(ctx, c, o, false)
			})
		},
	}
}

// eachTarget finds what all names mean before it does anything to one.
func (s *session) eachTarget(ctx context.Context, refs []string,
	do func(context.Context, Clients, target.Object) error,
) error {
	c, namespace, err := s.connect()
	if err != nil {
		return err
	}
	var objects []target.Object
	for _, r := range refs {
		o, err := s.target(ctx, c, namespace, r)
		if err != nil {
			return err
		}
		objects = append(objects, o)
	}
	for _, o := range objects {
		if err := do(ctx, c, o); err != nil {
			return err
		}
	}
	return nil
}

// target finds the one object that a name means. A pod of a workload is not
// taken for the workload: what is meant must be named.
func (s *session) target(ctx context.Context, c Clients, namespace, name string) (target.Object, error) {
	o, err := s.targetOrPod(ctx, c, namespace, name)
	if want := snapshot.ParseRef(namespace, name); err == nil && o.Name != want.Name {
		return target.Object{}, refused("pod %s belongs to %s: name that if you mean all of it, "+
			"or use kubectl for the one pod", want.Name, o.ID())
	}
	return o, err
}

func (s *session) targetOrPod(ctx context.Context, c Clients, namespace, name string) (target.Object, error) {
	want := snapshot.ParseRef(namespace, name)
	index, err := target.Read(ctx, c.Kube, want.Namespace)
	if err != nil {
		return target.Object{}, err
	}
	found := index.Find(want.Object, want.Name)
	switch len(found) {
	case 0:
		return target.Object{}, notFound("there is no workload %s in namespace %s%s", want, want.Namespace,
			listed(want.Name, index.Names(), "none at all is there"))
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, o := range found {
		ids[i] = o.ID()
	}
	return target.Object{}, refused("%s is the name of several: write %s", name, strings.Join(ids, " or "))
}

func (s *session) deleteOne(ctx context.Context, c Clients, o target.Object) error {
	resource, err := resourceOf(c, o.GVK)
	if err != nil {
		return err
	}
	err = c.Dynamic.Resource(resource).Namespace(o.Namespace).Delete(ctx, o.Name,
		metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s deleted\n", o.ID())
	return nil
}

// suspendable are the kinds that can be suspended by their own field.
var suspendable = map[schema.GroupKind]bool{
	{Group: "batch", Kind: "Job"}:              true,
	{Group: "batch", Kind: "CronJob"}:          true,
	{Group: "jobset.x-k8s.io", Kind: "JobSet"}: true,
}

func (s *session) setSuspended(ctx context.Context, c Clients, o target.Object, suspended bool) error {
	resource, err := resourceOf(c, o.GVK)
	if err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, ask.Suspend, suspendAnnotation(suspended))
	if suspendable[o.GVK.GroupKind()] {
		patch = fmt.Sprintf(`{"spec":{"suspend":%t}}`, suspended)
	}
	_, err = c.Dynamic.Resource(resource).Namespace(o.Namespace).
		Patch(ctx, o.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	done := "resumed"
	if suspended {
		done = "suspended"
	}
	fmt.Fprintf(s.out, "%s %s\n", o.ID(), done)
	if running := runningPods(o); suspended && running > 0 && !suspendable[o.GVK.GroupKind()] {
		s.note("%d of its pods run already and go on; delete them with kubectl to free their GPUs", running)
	}
	return nil
}

// suspendAnnotation is the value in a merge patch: null takes it away.
func suspendAnnotation(suspended bool) string {
	if suspended {
		return `"true"`
	}
	return "null"
}

func runningPods(o target.Object) int {
	n := 0
	for i := range o.Pods {
		if o.Pods[i].Spec.NodeName != "" && o.Pods[i].Status.Phase != "Succeeded" && o.Pods[i].Status.Phase != "Failed" {
			n++
		}
	}
	return n
}

// isObject reports whether a kind and a name are those of the workload's own
// object.
func isObject(w snapshot.Workload, kind, name string) bool {
	own, _, _ := strings.Cut(w.Name, "/")
	return strings.ToLower(kind) == w.Object && name == own
}

// resourceOf finds the resource of a kind; those of Kubernetes itself without
// asking the cluster.
func resourceOf(c Clients, gvk schema.GroupVersionKind) (schema.GroupVersionResource, error) {
	if own, ok := ownResources[gvk.GroupKind()]; ok {
		return gvk.GroupVersion().WithResource(own), nil
	}
	if c.Mapper == nil {
		return schema.GroupVersionResource{}, &meta.NoKindMatchError{GroupKind: gvk.GroupKind()}
	}
	m, err := c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return schema.GroupVersionResource{}, err
	}
	return m.Resource, nil
}

var ownResources = map[schema.GroupKind]string{
	{Kind: "Pod"}:                           "pods",
	{Group: "batch", Kind: "Job"}:           "jobs",
	{Group: "batch", Kind: "CronJob"}:       "cronjobs",
	{Group: "apps", Kind: "Deployment"}:     "deployments",
	{Group: "apps", Kind: "StatefulSet"}:    "statefulsets",
	{Group: "apps", Kind: "ReplicaSet"}:     "replicasets",
	{Group: "weir.dev", Kind: "Project"}:    "projects",
	{Group: "weir.dev", Kind: "NodePool"}:   "nodepools",
	{Group: "weir.dev", Kind: "Department"}: "departments",
}
