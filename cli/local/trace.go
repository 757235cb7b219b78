package local

import (
	"context"

	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/cluster/install"
	"github.com/weir-gpu/weir/cluster/replay"
	"github.com/weir-gpu/weir/cluster/simnode"
	"github.com/weir-gpu/weir/sim/openb"
)

// traceNodes are the nodes that the trace was taken from.
func traceNodes() ([]simnode.Spec, error) {
	nodes, err := openb.Nodes()
	if err != nil {
		return nil, err
	}
	specs := make([]simnode.Spec, len(nodes))
	for i, n := range nodes {
		memory, _ := openb.GPUMemoryMiB(n.Model)
		specs[i] = simnode.Spec{
			Name: n.Name, CPU: n.CPUMilli, Memory: n.MemoryMiB << 20, GPUs: int(n.GPUs),
			Model: n.Model, MemoryMiB: memory,
		}
	}
	return specs, nil
}

// traceOrganisation is who shares the cluster of the trace.
func traceOrganisation() install.Organisation {
	departments, projects := openb.Organisation()
	return install.Organisation{Namespaces: openb.Namespaces(), Departments: departments, Projects: projects}
}

// replay plays the trace against the cluster and reports at the end.
func (r *rooms) replay(ctx context.Context) error {
	schedule, err := openb.Plan(openb.Options{Speed: r.o.Speed})
	if err != nil {
		return err
	}
	items := make([]replay.Item, len(schedule.Items))
	for i := range schedule.Items {
		item := &schedule.Items[i]
		items[i] = replay.Item{
			Project: item.Project, Name: item.Name, At: item.At, Pods: item.Pods,
			Object: func() replay.Object { return item.Object() },
		}
	}
	_, err = replay.Run(ctx, replay.Options{
		Config: r.c.Config(), Items: items, GPUs: r.gpus, Hold: r.hold, Out: r.o.Out, Terminal: text.IsTerminal(r.o.Out),
	})
	return err
}
