package local

import (
	"fmt"
	"strings"
	"time"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cluster"
	"github.com/weir-gpu/weir/cluster/realnode"
	"github.com/weir-gpu/weir/cluster/simnode"
)

// greet says what there is now and how to use it.
func (r *rooms) greet(began time.Time) {
	kind := "simulated node"
	if r.real != nil {
		kind = "node" // this machine, and simulated ones that were asked for
	}
	fmt.Fprintf(r.o.Out, "Kubernetes %s is up at %s after %.1f s: %s, %s\n", cluster.Release(), r.c.Address,
		time.Since(began).Seconds(), quantity.Count(r.nodes, kind), quantity.Count(r.gpus, "GPU"))
	fmt.Fprintf(r.o.Out, "kubeconfig: %s\n\n", r.c.KubeconfigPath)
	lines := []string{
		"export KUBECONFIG=" + shellWord(r.c.KubeconfigPath),
		r.o.Program + " top",
		r.o.Program + " list -A",
		"kubectl get pods -A",
	}
	switch {
	case r.real != nil:
		lines = append(lines, r.o.Program+" submit train hello --project "+teams[0]+" --gpu 0.25 --image "+realnode.ToolsImage+
			" -- sh -c 'gpus libnvidia-ml.so.1; sleep 600'",
			r.o.Program+" logs -n "+teams[0]+" hello",
			"WEIR_AGENT="+shellWord(r.real.AgentDir())+" "+r.o.Program+" top --machine")
	case r.o.Replay == "":
		lines = append(lines, r.o.Program+" submit train hello --project "+teams[0]+" --gpu 2 --image any --watch \\\n"+
			"    --annotation "+simnode.DurationAnnotation+"=60s")
	}
	fmt.Fprintf(r.o.Out, "In another terminal:\n  %s\n\n", strings.Join(lines, "\n  "))
	if r.o.Exit {
		return
	}
	fmt.Fprintf(r.o.Out, "Ctrl-C stops it; what is in it stays until %s up --fresh.\n\n", r.o.Program)
}

// shellWord quotes a path for a shell where it has to be.
func shellWord(path string) string {
	if strings.ContainsAny(path, " \t'\"$`\\&;()<>|*?[]#~!") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
