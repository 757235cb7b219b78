package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/node/client"
)

// AgentOptions is what `weir agent` was asked for.
type AgentOptions struct {
	Dir      string
	Simulate string // the devices as they were written; "" for real ones
	Shim     string // the folder of the shim's libraries
	Driver   string // that of the driver's; "" to look for it
	Metrics  string // address of /metrics; "" for none
	Arena    uint64 // bytes of this machine's memory into which jobs may be swapped
	Idle     time.Duration
	Context  uint64 // bytes that the driver takes for a context; 0: it is found out
	Logger   *slog.Logger

	Cluster *rest.Config // of the cluster that this machine is a node of; nil for none
	Node    string       // the machine's name there
	Root    string       // where the machine's files are: "/", or elsewhere for an agent in a container
	Kubelet string       // the kubelet's folder
	CDI     string       // the folder where the container runtime looks for devices
}

func (s *session) agent() *cobra.Command {
	var o AgentOptions
	var logFormat, logLevel, arena, contextMemory string
	var kubernetes bool
	c := &cobra.Command{
		Use:   "agent",
		Short: "Share the GPUs of this machine; needs no cluster",
		Long: `Share the GPUs of this machine between the programs that weir run starts: each
has its own part of a GPU's memory and time, with a wall around it. With
--simulate the GPUs are simulated, which needs none.

With --arena, memory of this machine is kept for jobs that are swapped out of a
GPU's memory, by hand or because somebody else wants it: weir run --preemptible
and --lend start such jobs.

With --kubernetes the machine is a node of a cluster: the agent is its kubelet's
DRA driver too. It publishes the GPUs, and gives containers what their claims were
granted. weir install --agent-image prints what runs it so.

Jobs go on when the agent ends, each with its own share; the next agent takes
them over.`,
		Example: `weir agent --simulate 1x80GiB --arena 8GiB
weir run --gpu 0.25 -- python train.py
weir top`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Logger, err = s.logger(logFormat, logLevel); err != nil {
				return err
			}
			if o.Simulate != "" {
				if err := checkSimulated("--simulate", o.Simulate); err != nil {
					return err
				}
			}
			if o.Arena, err = memoryOf("--arena", arena); err != nil {
				return err
			}
			if o.Context, err = memoryOf("--context-memory", contextMemory); err != nil {
				return err
			}
			o.Dir = cmp.Or(o.Dir, s.agentDir())
			if kubernetes {
				if err := s.joinCluster(&o); err != nil {
					return err
				}
			}
			if s.parts.Agent == nil {
				return errMissingPart("the agent")
			}
			return ended(cmd.Context(), s.parts.Agent(cmd.Context(), o))
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.Simulate, "simulate", "", "GPUs to simulate, as COUNTxMEMORY: 1x80GiB, or 2x80GiB,1x40GiB")
	f.StringVar(&arena, "arena", "", "memory of this machine for jobs that are swapped out, such as 8GiB (default none)")
	f.DurationVar(&o.Idle, "idle", 5*time.Second, "after how long without work a job's memory may be lent")
	f.StringVar(&contextMemory, "context-memory", "",
		"what the driver takes of a GPU for a program's context, such as 512MiB (default: it is found out)")
	f.StringVar(&o.Dir, "dir", "", "folder of the agent's sockets, and of what outlives it "+agentDirDefault)
	f.StringVar(&o.Shim, "shim", "", "folder of the shim's libraries (default shim beside this program, then /usr/lib/weir/shim)")
	f.StringVar(&o.Driver, "driver", "", "folder of the driver's libcuda.so.1 and libnvidia-ml.so.1 (default: where the loader finds them)")
	f.StringVar(&o.Metrics, "metrics-address", "", "address of /metrics, such as :9400; empty for none")
	f.BoolVar(&kubernetes, "kubernetes", false, "serve the kubelet of this machine, which is a node of a cluster")
	f.StringVar(&o.Node, "node-name", "", "name of this machine in the cluster (default $NODE_NAME, then the host's name)")
	f.StringVar(&o.Root, "root", "/", "where the machine's files are, for an agent in a container; the driver is looked for there")
	f.StringVar(&o.Kubelet, "kubelet-dir", "/var/lib/kubelet", "the kubelet's folder")
	f.StringVar(&o.CDI, "cdi-dir", "/var/run/cdi", "folder where the container runtime looks for devices")
	f.StringVar(&logFormat, "log-format", "text", "text or json")
	f.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	return c
}

// joinCluster finds out which cluster the machine is a node of.
func (s *session) joinCluster(o *AgentOptions) (err error) {
	if os.Getuid() != 0 {
		return refused("--kubernetes is for root: the kubelet's folder is")
	}
	if o.Cluster, err = s.config().ClientConfig(); err != nil {
		return err
	}
	host, err := os.Hostname()
	o.Node = strings.ToLower(cmp.Or(o.Node, s.getenv("NODE_NAME"), host))
	return err
}

const agentDirDefault = "(default $WEIR_AGENT, /run/weir for root, else one of your own)"

// agentDir is where the agent of this machine has its sockets: for everybody
// where root runs it, else for one user.
func (s *session) agentDir() string {
	if dir := s.getenv("WEIR_AGENT"); dir != "" {
		return dir
	}
	const machine = "/run/weir"
	own := filepath.Join(os.TempDir(), fmt.Sprintf("weir-%d", os.Getuid()))
	if dir := s.getenv("XDG_RUNTIME_DIR"); dir != "" {
		own = filepath.Join(dir, "weir")
	}
	if os.Getuid() == 0 || !anyExists([]string{filepath.Join(own, "agent.sock")}) && anyExists([]string{machine}) {
		return machine
	}
	return own
}

var someDevices = regexp.MustCompile(`^([1-9][0-9]?)x[1-9][0-9]{0,5}([GM]iB?)$`)

// checkSimulated returns what is wrong with devices such as 2x80GiB,1x40GiB.
func checkSimulated(flag, words string) error {
	all := 0
	for word := range strings.SplitSeq(words, ",") {
		m := someDevices.FindStringSubmatch(word)
		if m == nil {
			return refused("%s: %q is no COUNTxMEMORY: write such as 1x80GiB or 2x80GiB,1x40GiB", flag, word)
		}
		count, _ := strconv.Atoi(m[1]) // two digits
		all += count
	}
	if all > 16 {
		return refused("%s: %d devices are more than 16: write fewer", flag, all)
	}
	return nil
}

// memoryOf reads an amount of memory, such as 8GiB, in bytes; none is 0.
func memoryOf(flag, words string) (uint64, error) {
	if words == "" {
		return 0, nil
	}
	mib, err := quantity.ParseMemory(strings.TrimSuffix(words, "B"))
	if err != nil {
		return 0, refused("%s: %s", flag, err)
	}
	return uint64(mib) << 20, nil
}

// topAgent shows this machine's agent, where that is what there is to show.
func (s *session) topAgent(ctx context.Context, out output) error {
	n, err := client.New(s.agentDir()).Node(ctx)
	if err != nil {
		return err
	}
	if out.data() {
		return s.print(out, n)
	}
	return show.Agent{Node: n, Now: s.now()}.Write(s.out, s.palette(s.out))
}

// alone reports whether there is an agent on this machine and no cluster.
func (s *session) alone() bool {
	_, err := s.config().ClientConfig()
	return err != nil && s.hasAgent()
}

// orMachine says how to see this machine's GPUs where a cluster that was here
// once cannot be reached: its kubeconfig outlives it.
func (s *session) orMachine(err error) error {
	var unreachable *url.Error
	if !errors.As(err, &unreachable) || errors.Is(err, context.Canceled) || !s.hasAgent() {
		return err
	}
	code, sentence := s.verdict(err)
	return coded{code, errors.New(sentence + "; this machine's own GPUs are shown by weir top --machine")}
}

func (s *session) hasAgent() bool {
	return anyExists([]string{filepath.Join(s.agentDir(), "agent.sock")})
}

var errNoProgram = errors.New("no program is named: write it after --, such as weir run --gpu 0.25 -- python train.py")
