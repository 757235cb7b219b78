package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/cli/snapshot"
)

func (s *session) node() *cobra.Command {
	return group("node", "Nodes: their GPUs and who holds them", "", s.nodeList(), s.nodeGet())
}

func (s *session) nodeList() *cobra.Command {
	var out output
	var pool string
	var devices bool
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List nodes, or with --devices every GPU and who holds it",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, _, err := s.view(cmd.Context())
			if err != nil {
				return err
			}
			nodes := v.Nodes
			if pool != "" {
				if nodes = nodesOf(v, pool); len(nodes) == 0 {
					return noPool(v, pool)
				}
			}
			return s.printNodes(out, nodes, devices)
		},
	}
	c.Flags().StringVar(&pool, "pool", "", "only those of this node pool")
	c.Flags().BoolVar(&devices, "devices", false, "one line for each GPU and holder")
	out.addTo(c, "json", "yaml", "wide", "name")
	return c
}

func (s *session) printNodes(out output, nodes []snapshot.Node, devices bool) error {
	switch {
	case out.data():
		return s.print(out, itemsOf(nodes))
	case out.format == "name":
		for _, n := range nodes {
			fmt.Fprintln(s.out, n.Name)
		}
		return nil
	case len(nodes) == 0:
		s.note("this cluster has no nodes")
		return nil
	case devices:
		return show.NodeDevices(s.out, s.palette(s.out), nodes, true)
	}
	return show.Nodes(s.out, s.palette(s.out), nodes, out.wide())
}

func (s *session) nodeGet() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Show one node and who holds what of each GPU",
		Args:  exactlyOne("node"),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, _, err := s.view(cmd.Context())
			if err != nil {
				return err
			}
			var names []string
			for _, n := range v.Nodes {
				if n.Name != args[0] {
					names = append(names, n.Name)
					continue
				}
				if out.data() {
					return s.print(out, n)
				}
				return show.Node(s.out, s.palette(s.out), n)
			}
			return notFound("there is no node %q%s", args[0], listed(args[0], names, "this cluster has no nodes"))
		},
	}
	out.addTo(c, "json", "yaml")
	return c
}
