package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/cli/snapshot"
)

// pooling is a command that makes or changes a node pool.
type pooling struct {
	selector     map[string]string
	gpu, cpu     string
	price        string
	spared       string
	surplus      string
	create, yaml bool
}

func (s *session) pool() *cobra.Command {
	return group("pool", "Node pools: sets of nodes with quotas and prices of their own",
		`A node pool is a set of nodes, chosen by labels. Nodes of no pool are in the
pool "default", which needs no object.`,
		s.poolList(), s.poolGet(), s.poolWrite(true), s.poolWrite(false), s.kindDelete(poolKind, nil))
}

func (s *session) poolList() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List node pools with how full they are",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, _, err := s.view(cmd.Context())
			if err != nil {
				return err
			}
			switch {
			case out.data():
				return s.print(out, itemsOf(v.Pools))
			case out.format == "name":
				for _, p := range v.Pools {
					fmt.Fprintln(s.out, p.Name)
				}
				return nil
			}
			return show.Pools(s.out, s.palette(s.out), v.Pools)
		},
	}
	out.addTo(c, "json", "yaml", "name")
	return c
}

func (s *session) poolGet() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Show one node pool and its nodes; -o yaml prints the object itself",
		Args:  exactlyOne("pool"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out.data() {
				return s.getObject(cmd.Context(), poolKind, args[0], out)
			}
			v, _, err := s.view(cmd.Context())
			if err != nil {
				return err
			}
			return s.printPool(v, args[0])
		},
	}
	out.addTo(c, "json", "yaml")
	return c
}

func (s *session) printPool(v *snapshot.View, name string) error {
	i := slices.IndexFunc(v.Pools, func(p snapshot.Pool) bool { return p.Name == name })
	if i < 0 {
		return noPool(v, name)
	}
	if err := show.Pools(s.out, s.palette(s.out), v.Pools[i:i+1]); err != nil {
		return err
	}
	nodes := nodesOf(v, name)
	if len(nodes) == 0 {
		return nil
	}
	fmt.Fprintln(s.out)
	return show.Nodes(s.out, s.palette(s.out), nodes, false)
}

func noPool(v *snapshot.View, name string) error {
	var names []string
	for _, p := range v.Pools {
		names = append(names, p.Name)
	}
	return notFound("there is no pool %q%s", name, listed(name, names, "there are none yet"))
}

// nodesOf lists the nodes of a pool.
func nodesOf(v *snapshot.View, pool string) []snapshot.Node {
	var nodes []snapshot.Node
	for _, n := range v.Nodes {
		if n.Pool == pool {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (s *session) poolWrite(create bool) *cobra.Command {
	p := &pooling{create: create}
	c := &cobra.Command{
		Use:     "create NAME --selector LABEL=VALUE[,...]",
		Short:   "Create a node pool",
		Example: "weir pool create a100 --selector nvidia.com/gpu.product=NVIDIA-A100-SXM4-80GB --placement spread",
		Args:    exactlyOne("pool"),
		RunE:    func(cmd *cobra.Command, args []string) error { return s.runPoolWrite(cmd.Context(), args[0], p) },
	}
	if !create {
		c.Use, c.Short, c.Example = "set NAME", "Change a node pool", "weir pool set a100 --placement fgd --price 2.5"
	} else {
		c.Flags().BoolVar(&p.yaml, "dry-run", false, "print the object and send nothing")
	}
	f := c.Flags()
	f.StringToStringVar(&p.selector, "selector", nil, "labels that its nodes have, such as gpu=a100,zone=b")
	f.StringVar(&p.gpu, "placement", "", "where GPU pods go: pack, spread, fgd or dense (default pack)")
	f.StringVar(&p.cpu, "cpu-placement", "", "where pods without GPUs go: pack or spread (default pack)")
	f.StringVar(&p.spared, "surplus-runtime", "",
		"how long what started is left alone by others who would borrow in its place (default 5m)")
	f.StringVar(&p.surplus, "surplus", "",
		"how what nobody is guaranteed is divided: share, by how much each has, or service, by how little each "+
			"workload was served (default share)")
	f.StringVar(&p.price, "price", "", "price of a GPU for an hour; it is shown and decides nothing")
	return c
}

func (s *session) runPoolWrite(ctx context.Context, name string, p *pooling) error {
	pool := &v1alpha1.NodePool{TypeMeta: poolKind.typeMeta(), ObjectMeta: metav1.ObjectMeta{Name: name}}
	if p.yaml {
		if err := p.apply(pool); err != nil {
			return err
		}
		return s.printYAML(pool)
	}
	if p.create {
		if err := p.apply(pool); err != nil {
			return err
		}
	}
	c, _, err := s.connect()
	if err != nil {
		return err
	}
	if !p.create {
		if err := poolKind.get(ctx, c, name, pool); err != nil {
			return err
		}
		if err := p.apply(pool); err != nil {
			return err
		}
	}
	if err := poolKind.write(ctx, c, pool, p.create); err != nil {
		return err
	}
	done := "changed"
	if p.create {
		done = "created"
	}
	fmt.Fprintf(s.out, "pool %s %s\n", name, done)
	return nil
}

// apply writes what was given into the pool.
func (p *pooling) apply(pool *v1alpha1.NodePool) error {
	if p.create && len(p.selector) == 0 && pool.Name != v1alpha1.DefaultPool {
		return refused("--selector is missing, and without it the pool would take every node: name labels that only "+
			"its nodes have, such as --selector gpu=%s", pool.Name)
	}
	if !p.create && len(p.selector) == 0 && p.gpu == "" && p.cpu == "" && p.price == "" && p.spared == "" &&
		p.surplus == "" {
		return refused("there is nothing to change: write what to set, such as --placement spread")
	}
	if len(p.selector) > 0 {
		pool.Spec.NodeSelector = maps.Clone(p.selector)
	}
	for _, f := range []struct {
		flag, value string
		into        *v1alpha1.PlacementRule
		valid       []v1alpha1.PlacementRule
	}{
		{"placement", p.gpu, &pool.Spec.Placement.GPU,
			[]v1alpha1.PlacementRule{v1alpha1.Pack, v1alpha1.Spread, v1alpha1.FGD, v1alpha1.Dense}},
		{"cpu-placement", p.cpu, &pool.Spec.Placement.CPU,
			[]v1alpha1.PlacementRule{v1alpha1.Pack, v1alpha1.Spread}},
	} {
		if f.value == "" {
			continue
		}
		if !slices.Contains(f.valid, v1alpha1.PlacementRule(f.value)) {
			return refused("--%s %q is no way to place pods: write %s", f.flag, f.value, join(f.valid, " or "))
		}
		*f.into = v1alpha1.PlacementRule(f.value)
	}
	if p.price != "" {
		q, err := quantity.ParseResource(p.price)
		if err != nil {
			return refused("--price: %q is not a price: write a number such as 2.5", p.price)
		}
		pool.Spec.PricePerGPUHour = &q
	}
	if p.surplus != "" {
		valid := []v1alpha1.Surplus{v1alpha1.ByShare, v1alpha1.ByService}
		if pool.Spec.Surplus = v1alpha1.Surplus(p.surplus); !slices.Contains(valid, pool.Spec.Surplus) {
			return refused("--surplus %q is no way to divide it: write %s", p.surplus, join(valid, " or "))
		}
	}
	if p.spared != "" {
		d, err := time.ParseDuration(p.spared)
		if err != nil || d < 0 {
			return refused("--surplus-runtime: %q is not how long: write a duration such as 5m, or 0s for none", p.spared)
		}
		pool.Spec.SurplusRuntime = &metav1.Duration{Duration: d}
	}
	return nil
}

func join[T ~string](list []T, with string) string {
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = string(v)
	}
	return strings.Join(names, with)
}
