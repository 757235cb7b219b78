package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/submit"
)

func (s *session) project() *cobra.Command {
	return group("project", "Projects: teams with namespaces and quotas",
		`A project is a team: the pods of its namespaces belong to it. What it is
guaranteed (its quota) comes back on demand when others have borrowed it.`,
		s.ownerList(projectKind), s.ownerGet(projectKind), s.projectCreate(), s.ownerSet(projectKind),
		s.kindDelete(projectKind, nil))
}

func (s *session) department() *cobra.Command {
	return group("department", "Departments: groups of projects that share quotas",
		`A department is a group of projects, or of departments. Surplus is divided among
departments first, and inside each among its projects.`,
		s.ownerList(departmentKind), s.ownerGet(departmentKind), s.departmentCreate(), s.ownerSet(departmentKind),
		s.kindDelete(departmentKind, s.emptyDepartment))
}

func (s *session) ownerList(k weirKind) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List " + k.resource + " with what they are guaranteed, use, borrow and lend",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, _, err := s.view(cmd.Context())
			if err != nil {
				return err
			}
			owners := slices.DeleteFunc(slices.Clone(v.Owners), func(o snapshot.Owner) bool { return o.Kind != k.noun })
			switch {
			case out.data():
				return s.print(out, itemsOf(owners))
			case out.format == "name":
				for _, o := range owners {
					fmt.Fprintln(s.out, o.Name)
				}
				return nil
			case len(owners) == 0:
				s.note("there are no %s: make one with %s %s create NAME --gpu 8", k.resource, s.program, k.noun)
				return nil
			}
			return show.Owners(s.out, s.palette(s.out), owners, out.wide())
		},
	}
	out.addTo(c, "json", "yaml", "wide", "name")
	return c
}

func (s *session) ownerGet(k weirKind) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Show one " + k.noun + "; -o yaml prints the object itself",
		Args:  exactlyOne(k.noun),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out.data() {
				return s.getObject(cmd.Context(), k, args[0], out)
			}
			v, _, err := s.view(cmd.Context())
			if err != nil {
				return err
			}
			for _, o := range v.Owners {
				if o.Kind == k.noun && o.Name == args[0] {
					return show.Owner(s.out, s.palette(s.out), o, v)
				}
			}
			return notFound("there is no %s %q%s", k.noun, args[0], listed(args[0], ownerNames(v, k.noun),
				"there are none yet"))
		},
	}
	out.addTo(c, "json", "yaml")
	return c
}

// getObject prints an object as it is in the cluster.
func (s *session) getObject(ctx context.Context, k weirKind, name string, out output) error {
	c, _, err := s.connect()
	if err != nil {
		return err
	}
	u, err := k.raw(ctx, c, name)
	if err != nil {
		return err
	}
	u.SetManagedFields(nil)
	return s.print(out, u.Object)
}

// kindDelete deletes objects after check has nothing against it.
func (s *session) kindDelete(k weirKind, check func(context.Context, Clients, string) error) *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME...",
		Aliases: []string{"rm"},
		Short:   "Delete " + k.resource,
		Args:    atLeastOne(k.noun),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, _, err := s.connect()
			if err != nil {
				return err
			}
			for _, name := range args {
				if check != nil {
					if err := check(cmd.Context(), c, name); err != nil {
						return err
					}
				}
				if err := k.delete(cmd.Context(), c, name); err != nil {
					return err
				}
				fmt.Fprintf(s.out, "%s %s deleted\n", k.noun, name)
			}
			return nil
		},
	}
}

// emptyDepartment refuses to take a department away from under its projects.
func (s *session) emptyDepartment(ctx context.Context, c Clients, name string) error {
	projects, err := listProjects(ctx, c)
	if err != nil {
		return err
	}
	var inside []string
	for _, p := range projects {
		if p.department == name {
			inside = append(inside, p.name)
		}
	}
	if len(inside) > 0 {
		return refused("department %s still has the projects %s: move them with %s project set NAME --department OTHER, "+
			"or delete them first", name, strings.Join(inside, ", "), s.program)
	}
	return nil
}

func (s *session) printYAML(obj submit.Object) error {
	plain, err := weirPlain(obj)
	if err != nil {
		return err
	}
	return s.print(output{format: "yaml"}, plain)
}
