package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cli/submit"
)

// owning is a command that makes or changes a department or a project.
type owning struct {
	share      shareFlags
	parent     string
	namespaces []string
	makeSpaces bool
	dryRun     bool
	discipline string
}

func (s *session) projectCreate() *cobra.Command {
	o := &owning{}
	c := &cobra.Command{
		Use:     "create NAME",
		Short:   "Create a project",
		Example: "weir project create vision --department research --gpu 8 --limit 16",
		Args:    exactlyOne("project"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p := &v1alpha1.Project{TypeMeta: projectKind.typeMeta(), ObjectMeta: metav1.ObjectMeta{Name: args[0]}}
			p.Spec.Department, p.Spec.Namespaces = o.parent, o.namespaces
			if err := o.order(p); err != nil {
				return err
			}
			return s.createOwner(cmd.Context(), projectKind, o, p, &p.Spec.Pools)
		},
	}
	o.share.addTo(c)
	f := c.Flags()
	f.StringVar(&o.parent, "department", "", "department that it is part of (default none)")
	f.StringVar(&o.discipline, "discipline", "", disciplineHelp+" (default fifo)")
	f.StringSliceVar(&o.namespaces, "namespaces", nil, "namespaces that belong to it (default that of its name)")
	f.BoolVar(&o.makeSpaces, "create-namespaces", true, "create those of its namespaces that do not exist")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the object and send nothing")
	return c
}

const disciplineHelp = "order among its workloads of equal priority: fifo, shortest or service"

// order writes the discipline that was given into a project.
func (o *owning) order(p *v1alpha1.Project) error {
	if o.discipline == "" {
		return nil
	}
	valid := []v1alpha1.Discipline{v1alpha1.FIFO, v1alpha1.Shortest, v1alpha1.Service}
	if p.Spec.Discipline = v1alpha1.Discipline(o.discipline); !slices.Contains(valid, p.Spec.Discipline) {
		return refused("--discipline %q is no order of workloads: write %s", o.discipline, join(valid, " or "))
	}
	return nil
}

func (s *session) departmentCreate() *cobra.Command {
	o := &owning{}
	c := &cobra.Command{
		Use:     "create NAME",
		Short:   "Create a department",
		Example: "weir department create research --gpu 64",
		Args:    exactlyOne("department"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d := &v1alpha1.Department{TypeMeta: departmentKind.typeMeta(), ObjectMeta: metav1.ObjectMeta{Name: args[0]}}
			d.Spec.Parent = o.parent
			return s.createOwner(cmd.Context(), departmentKind, o, d, &d.Spec.Pools)
		},
	}
	o.share.addTo(c)
	c.Flags().StringVar(&o.parent, "parent", "", "department that it is part of (default none)")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "print the object and send nothing")
	return c
}

func (s *session) createOwner(ctx context.Context, k weirKind, o *owning, obj submit.Object,
	pools *[]v1alpha1.PoolShare,
) error {
	var err error
	if o.share.changed() {
		if *pools, err = o.share.apply(nil); err != nil {
			return err
		}
	}
	if o.dryRun {
		return s.printYAML(obj)
	}
	c, _, err := s.connect()
	if err != nil {
		return err
	}
	if o.parent != "" {
		if err := departmentKind.get(ctx, c, o.parent, &v1alpha1.Department{}); err != nil {
			return err
		}
	}
	if err := k.write(ctx, c, obj, true); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s %s created\n", k.noun, obj.GetName())
	if !o.makeSpaces {
		return nil
	}
	if len(o.namespaces) == 0 {
		o.namespaces = []string{obj.GetName()}
	}
	return s.createNamespaces(ctx, c, o.namespaces)
}

func (s *session) createNamespaces(ctx context.Context, c Clients, names []string) error {
	for _, name := range names {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := c.Kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
		switch {
		case apierrors.IsAlreadyExists(err):
		case err != nil:
			return fmt.Errorf("its namespace %s was not created: %w", name, err)
		default:
			fmt.Fprintf(s.out, "namespace %s created\n", name)
		}
	}
	return nil
}

func (s *session) ownerSet(k weirKind) *cobra.Command {
	o := &owning{}
	c := &cobra.Command{
		Use:     "set NAME",
		Short:   "Change what a " + k.noun + " is guaranteed and allowed",
		Long:    "Change what a " + k.noun + " is guaranteed and allowed in one pool. What is not named stays as it is.",
		Example: fmt.Sprintf("weir %s set vision --gpu 16 --weight 2 --limit none", k.noun),
		Args:    exactlyOne(k.noun),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.setOwner(cmd.Context(), k, args[0], o)
		},
	}
	o.share.addTo(c)
	if k == projectKind {
		c.Flags().StringVar(&o.parent, "department", "", "move it to this department")
		c.Flags().StringVar(&o.discipline, "discipline", "", disciplineHelp)
	} else {
		c.Flags().StringVar(&o.parent, "parent", "", "move it to this department")
	}
	return c
}

func (s *session) setOwner(ctx context.Context, k weirKind, name string, o *owning) error {
	if !o.share.changed() && o.parent == "" && o.discipline == "" {
		return refused("there is nothing to change: write what to set, such as --gpu 8 or --weight 2")
	}
	c, _, err := s.connect()
	if err != nil {
		return err
	}
	var obj submit.Object
	var pools *[]v1alpha1.PoolShare
	var parent *string
	if k == projectKind {
		p := &v1alpha1.Project{}
		obj, pools, parent = p, &p.Spec.Pools, &p.Spec.Department
	} else {
		d := &v1alpha1.Department{}
		obj, pools, parent = d, &d.Spec.Pools, &d.Spec.Parent
	}
	if err := k.get(ctx, c, name, obj); err != nil {
		return err
	}
	if p, ok := obj.(*v1alpha1.Project); ok {
		if err := o.order(p); err != nil {
			return err
		}
	}
	if o.parent != "" {
		if err := departmentKind.get(ctx, c, o.parent, &v1alpha1.Department{}); err != nil {
			return err
		}
		*parent = o.parent
	}
	if o.share.changed() {
		if *pools, err = o.share.apply(*pools); err != nil {
			return err
		}
	}
	if err := k.write(ctx, c, obj, false); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s %s changed\n", k.noun, name)
	return nil
}
