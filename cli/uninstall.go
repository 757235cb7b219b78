package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cluster/install"
)

func (s *session) uninstall() *cobra.Command {
	var all, dryRun bool
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove Weir from a cluster, and say what stays",
		Long: `Delete what weir install made. Pods that run go on. Departments, projects, node
pools and rules stay with the definitions of their kinds, so that a later
installation finds them, unless --all is written.`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.remove(cmd.Context(), all, dryRun) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.BoolVar(&all, "all", false, "delete all departments, projects, node pools and rules too, with their kinds")
	f.BoolVar(&dryRun, "dry-run", false, "say what would be deleted, and delete nothing")
	return c
}

// remove deletes the installation in the opposite order of its making: the
// webhook's registration first, as nothing may wait for what is going.
func (s *session) remove(ctx context.Context, all, dryRun bool) error {
	clients, _, err := s.connect()
	if err != nil {
		return err
	}
	manifest, err := manifestOf(install.Options{Image: "any", Replicas: 1, AgentImage: "any"})
	if err != nil {
		return err
	}
	left, err := whatStays(ctx, clients)
	if err != nil {
		return err
	}
	deleted, done := 0, "deleted"
	options := metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)}
	if dryRun {
		done, options.DryRun = "would be deleted", []string{metav1.DryRunAll}
	}
	for _, d := range slices.Backward(manifest) {
		if d.GetKind() == "CustomResourceDefinition" && !all {
			continue
		}
		resource, err := placeOf(clients, d)
		if err != nil {
			return err
		}
		switch err := resource.Delete(ctx, d.GetName(), options); {
		case apierrors.IsNotFound(err):
			continue
		case err != nil:
			return fmt.Errorf("%s was not deleted, and nothing after it: %w", title(d), err)
		}
		deleted++
		fmt.Fprintf(s.out, "%s %s\n", title(d), done)
	}
	if deleted == 0 {
		s.note("there is nothing of Weir to delete")
	}
	if !all && left != "" {
		s.note("what stays: the kinds of Weir with %s; weir uninstall --all deletes them too", left)
	}
	s.note("pods that run go on; those of schedulerName weir that wait will not start. ResourceClaimTemplates that " +
		"Weir made stay in their namespaces.")
	return nil
}

// whatStays counts the objects of Weir's kinds; it is "" where the cluster has
// none of the kinds.
func whatStays(ctx context.Context, c Clients) (string, error) {
	var counts []string
	for _, resource := range []string{"departments", "projects", "nodepools", "workloadrules"} {
		list, err := c.Dynamic.Resource(v1alpha1.GroupVersion.WithResource(resource)).List(ctx, metav1.ListOptions{})
		switch {
		case apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
			continue
		case err != nil:
			return "", err
		}
		noun := resource
		if len(list.Items) == 1 {
			noun = strings.TrimSuffix(noun, "s")
		}
		counts = append(counts, fmt.Sprintf("%d %s", len(list.Items), noun))
	}
	return strings.Join(counts, ", "), nil
}
