package cli

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// UpOptions is what `weir up` was asked for.
type UpOptions struct {
	Name  string // of the cluster; several can exist side by side
	Fresh bool   // forget what an earlier run left
	Port  int    // of the API server; 0 takes the last one, or any

	Nodes  int    // how many simulated nodes
	GPUs   int    // of each node
	Model  string // of every GPU
	Shaped bool   // any of these was asked for; else the nodes of an earlier run stay
	Counts bool   // nodes have a device plugin and no exact devices

	RealNode  bool     // this machine is a node too, with containers
	RealGPUs  string   // its simulated GPUs, such as 1x80GiB
	RealArena string   // its memory for what is swapped out of them, such as 8GiB
	Images    []string // files with images for it

	Replay string  // name of a trace, or ""
	Speed  float64 // times as fast as it was
	Exit   bool    // end when the replay has

	Out     io.Writer // for people
	Program string    // how people call the command: "weir"
}

// replays are the traces that can be replayed.
var replays = []string{"openb"}

func (s *session) up() *cobra.Command {
	o := UpOptions{}
	c := &cobra.Command{
		Use:   "up",
		Short: "Run a Kubernetes with simulated GPUs here, scheduled by Weir",
		Long: `Run a real Kubernetes API with its controllers, Weir's scheduler and simulated GPU
nodes in this one process, on the loopback address. What is in it is kept below
the XDG state directory (~/.local/state/weir) until --fresh.

It runs until Ctrl-C. In another terminal:

  export KUBECONFIG=~/.local/state/weir/default/kubeconfig
  weir top

Where there is no other kubeconfig, weir finds that of the last cluster by itself.

With --real-node this machine is a node too: containers run on it, and share GPUs
that are simulated, each held to its part. That is for root on Linux, and leaves
nothing on the machine when it ends.`,
		Example: "weir up --replay openb\nweir up --nodes 100 --gpus 8 --model H100\nsudo weir up --real-node",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Program = s.out, s.program
			o.Shaped = slices.ContainsFunc([]string{"nodes", "gpus", "model", "count-nodes"}, cmd.Flags().Changed)
			if o.Replay != "" {
				o.Fresh = true // a trace is played from its start
				if !cmd.Flags().Changed("name") {
					o.Name = o.Replay
				}
			}
			if err := o.check(cmd.Flags().Changed); err != nil {
				return err
			}
			if s.parts.Up == nil {
				return errMissingPart("the embedded cluster")
			}
			return ended(cmd.Context(), s.parts.Up(cmd.Context(), o))
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.IntVar(&o.Nodes, "nodes", 4, "how many simulated nodes")
	f.IntVar(&o.GPUs, "gpus", 8, "GPUs of each node")
	f.StringVar(&o.Model, "model", "H100", "model of the GPUs: a name such as H100 or A100, or a full product name")
	f.BoolVar(&o.Counts, "count-nodes", false, "nodes with a vendor's device plugin: whole GPUs by number only")
	f.BoolVar(&o.RealNode, "real-node", false, "let this machine be a node that runs containers; no other nodes unless asked for")
	f.StringVar(&o.RealGPUs, "real-gpus", "1x80GiB", "simulated GPUs of that node, as COUNTxMEMORY")
	f.StringVar(&o.RealArena, "real-arena", "", "memory of that node for what is swapped out of its GPUs, such as 8GiB (default none)")
	f.StringArrayVar(&o.Images, "load", nil, "file with an image for that node, as docker save writes it; repeatable")
	f.StringVar(&o.Replay, "replay", "",
		"replay a production trace on its own nodes, in a fresh cluster: "+strings.Join(replays, ", "))
	f.Float64Var(&o.Speed, "speed", 0, "replay so many times as fast as it was (default the trace's own choice)")
	f.BoolVar(&o.Exit, "exit", false, "end when the replay has")
	f.StringVar(&o.Name, "name", "default", "name of the cluster (with --replay: the trace's); each has its own data")
	f.BoolVar(&o.Fresh, "fresh", false, "forget what an earlier run of this cluster left")
	f.IntVar(&o.Port, "port", 0, "port of the API server (default that of the last run, or a free one)")
	return c
}

func (o *UpOptions) check(changed func(string) bool) error {
	const most = 20_000
	switch {
	case o.Nodes < 1 || o.Nodes > most:
		return refused("--nodes %d is not a number of nodes: write 1 to %d", o.Nodes, most)
	case o.GPUs < 0 || o.GPUs > 64:
		return refused("--gpus %d is not what a node can have: write 0 to 64", o.GPUs)
	case o.Model == "":
		return refused("--model is empty: write a model such as H100")
	case o.Port < 0 || o.Port > 65535:
		return refused("--port %d is not a port: write 1 to 65535, or 0 for a free one", o.Port)
	case o.Speed < 0:
		return refused("--speed %g is less than nothing: write how many times as fast, such as 60", o.Speed)
	case o.Replay == "" && (changed("speed") || changed("exit")):
		return refused("--speed and --exit are for a replay: add --replay %s", strings.Join(replays, " or --replay "))
	case o.Replay != "" && !slices.Contains(replays, o.Replay):
		return refused("there is no trace %q: write --replay %s", o.Replay, strings.Join(replays, " or --replay "))
	}
	for _, flag := range []string{"real-gpus", "real-arena", "load"} {
		if !o.RealNode && changed(flag) {
			return refused("--%s is for a node that runs containers: add --real-node", flag)
		}
	}
	if err := checkSimulated("--real-gpus", o.RealGPUs); err != nil {
		return err
	}
	if _, err := memoryOf("--real-arena", o.RealArena); err != nil {
		return err
	}
	for _, flag := range []string{"nodes", "gpus", "model", "real-node"} {
		if o.Replay != "" && changed(flag) {
			return refused("--%s does not go with --replay, which brings its own nodes: leave one of the two out", flag)
		}
	}
	return nil
}

// ended takes the end of a context for the good end of what runs until then.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && (err == nil || context.Cause(ctx) != nil && err == ctx.Err()) {
		return nil
	}
	return err
}
