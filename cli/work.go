package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/snapshot"
)

// watchEvery is the pause between two looks at a cluster.
const watchEvery = 2 * time.Second

// sleep waits, or returns why the context ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// view reads the state of the cluster, and the namespace that is meant.
func (s *session) view(ctx context.Context) (*snapshot.View, string, error) {
	if s.parts.Snapshot == nil {
		return nil, "", errMissingPart("the snapshot")
	}
	c, namespace, err := s.connect()
	if err != nil {
		return nil, "", err
	}
	v, err := s.parts.Snapshot(ctx, c, s.now())
	return v, namespace, err
}

// one finds the one workload that a name means, with the reason why it waits.
func (s *session) one(v *snapshot.View, namespace, ref string) (snapshot.Workload, error) {
	gangs, err := s.gangs(v, namespace, ref)
	if err != nil {
		return snapshot.Workload{}, err
	}
	if len(gangs) > 1 {
		return snapshot.Workload{}, refused("%s is %d gangs: name one of %s", ref, len(gangs),
			strings.Join(idsOf(gangs), ", "))
	}
	return gangs[0], nil
}

// gangs finds the gangs of the one object that a name means.
func (s *session) gangs(v *snapshot.View, namespace, ref string) ([]snapshot.Workload, error) {
	found := v.Find(namespace, ref)
	if len(found) == 0 {
		return nil, s.noWorkload(v, namespace, ref)
	}
	for i := range found {
		if found[i].Object != found[0].Object {
			return nil, refused("%s is the name of several: write %s", ref, strings.Join(idsOf(found), " or "))
		}
		v.Fill(&found[i])
	}
	return found, nil
}

func idsOf(list []snapshot.Workload) []string {
	ids := make([]string, len(list))
	for i, w := range list {
		ids[i] = w.ID
	}
	return ids
}

// noWorkload says that a name means nothing, and what it may have meant.
func (s *session) noWorkload(v *snapshot.View, namespace, ref string) error {
	want := snapshot.ParseRef(namespace, ref)
	var here, elsewhere []string
	for _, w := range v.Workloads {
		switch {
		case w.Namespace == want.Namespace:
			here = append(here, w.Name)
		case w.Name == want.Name:
			elsewhere = append(elsewhere, w.ID)
		}
	}
	if len(elsewhere) > 0 {
		return notFound("there is no workload %s in namespace %s, but there is %s", want, want.Namespace,
			strings.Join(elsewhere[:min(len(elsewhere), 3)], " and "))
	}
	return notFound("there is no workload %s in namespace %s%s", want, want.Namespace,
		listed(want.Name, here, fmt.Sprintf("none at all is there; see all with %s list -A", s.program)))
}

// completeWorkloads offers the names of workloads to the shell.
func (s *session) completeWorkloads(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	v, namespace, err := s.view(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, w := range v.Workloads {
		if w.Namespace == namespace && strings.HasPrefix(w.Name, begun) {
			names = append(names, w.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// atLeastOne wants names as arguments.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("the name of the %s is missing: write %s NAME", what, cmd.CommandPath())
		}
		return nil
	}
}

// exactlyOne wants one name as an argument.
func exactlyOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("%q is one name too many: write one %s", args[1], what)
		}
		return atLeastOne(what)(cmd, args)
	}
}

// nothing wants no arguments.
func nothing(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument such as %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}
