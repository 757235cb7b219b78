package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	Logger   *slog.Logger
}

func (s *session) agent() *cobra.Command {
	var o AgentOptions
	var logFormat, logLevel, arena string
	c := &cobra.Command{
		Use:   "agent",
		Short: "Share the GPUs of this machine; needs no cluster",
		Long: `Share the GPUs of this machine between the programs that weir run starts: each
has its own part of a GPU's memory and time, with a wall around it. With
--simulate the GPUs are simulated, which needs none.

With --arena, memory of this machine is kept for jobs that are swapped out of a
GPU's memory, by hand or because somebody else wants it: weir run --preemptible
and --lend start such jobs.

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
				if err := checkSimulated(o.Simulate); err != nil {
					return err
				}
			}
			if arena != "" {
				mib, err := quantity.ParseMemory(strings.TrimSuffix(arena, "B"))
				if err != nil {
					return refused("--arena: %s", err)
				}
				o.Arena = uint64(mib) << 20
			}
			o.Dir = cmp.Or(o.Dir, s.agentDir())
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
	f.StringVar(&o.Dir, "dir", "", "folder of the agent's sockets, and of what outlives it "+agentDirDefault)
	f.StringVar(&o.Shim, "shim", "", "folder of the shim's libraries (default shim beside this program, then /usr/lib/weir/shim)")
	f.StringVar(&o.Driver, "driver", "", "folder of the driver's libcuda.so.1 and libnvidia-ml.so.1 (default: where the loader finds them)")
	f.StringVar(&o.Metrics, "metrics-address", "", "address of /metrics, such as :9400; empty for none")
	f.StringVar(&logFormat, "log-format", "text", "text or json")
	f.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	return c
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
func checkSimulated(words string) error {
	all := 0
	for word := range strings.SplitSeq(words, ",") {
		m := someDevices.FindStringSubmatch(word)
		if m == nil {
			return refused("--simulate: %q is no COUNTxMEMORY: write such as 1x80GiB or 2x80GiB,1x40GiB", word)
		}
		count, _ := strconv.Atoi(m[1]) // two digits
		all += count
	}
	if all > 16 {
		return refused("--simulate: %d devices are more than 16: write fewer", all)
	}
	return nil
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
	return err != nil && anyExists([]string{filepath.Join(s.agentDir(), "agent.sock")})
}

var errNoProgram = errors.New("no program is named: write it after --, such as weir run --gpu 0.25 -- python train.py")
