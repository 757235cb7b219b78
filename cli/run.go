package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/client"
)

type runFlags struct {
	gpu, memory, most, mode, name, dir string
	devices, priority                  int
	wait                               time.Duration
	preemptible, lend                  bool
}

func (s *session) runProgram() *cobra.Command {
	o := runFlags{}
	c := &cobra.Command{
		Use:   "run [flags] -- PROGRAM [ARGUMENT...]",
		Short: "Run a program with a part of this machine's GPU; needs weir agent",
		Long: `Run a program with a part of a GPU of this machine: it sees that much memory and
has that much of the time, and so do all processes that it starts. weir agent
has to run.

The program takes the place of weir: its exit code, its signals and its terminal
are its own.`,
		Example: `weir run --gpu 0.25 -- python train.py
weir run --gpu 0.5 --gpu-memory 10Gi --mode strict -- ./server
weir run --gpu 0.5 --preemptible -- python sweep.py`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return coded{exitUsage, errNoProgram}
			}
			r, err := o.request(args)
			if err != nil {
				return coded{exitUsage, err}
			}
			path, err := exec.LookPath(args[0])
			if err != nil {
				return coded{exitNotFound, fmt.Errorf("%s cannot be run: %w", args[0], err)}
			}
			c := client.New(cmp.Or(o.dir, s.agentDir()))
			begun, err := c.Begin(cmd.Context(), r)
			for end := s.now().Add(o.wait); errors.Is(err, client.ErrTooLittle) && s.now().Before(end); {
				if err := s.pause(cmd.Context(), time.Second/2); err != nil {
					return err
				}
				begun, err = c.Begin(cmd.Context(), r)
			}
			if err != nil {
				return err
			}
			if s.parts.Exec == nil {
				return errMissingPart("running programs")
			}
			return s.parts.Exec(path, args, environment(s.environ(), begun.Env))
		},
	}
	c.Flags().SetInterspersed(false)
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.gpu, "gpu", "", "part of a GPU: 0.25, or 1 for all of it (default the part that --gpu-memory is)")
	f.StringVar(&o.memory, "gpu-memory", "", "memory of the GPU: 10Gi (default the part that --gpu is)")
	f.StringVar(&o.most, "gpu-memory-limit", "", "memory up to which it may burst into what others leave (with --lend)")
	f.IntVar(&o.devices, "gpus", 1, "on so many GPUs")
	f.StringVar(&o.mode, "mode", "fair", "fair: what others leave too; strict: never more than the part")
	f.IntVar(&o.priority, "priority", 0, "higher ones have the GPU first whenever it is handed on")
	f.BoolVar(&o.preemptible, "preemptible", false, "run on what others leave: swapped out when they want it")
	f.BoolVar(&o.lend, "lend", false, "while it is idle, others may have its memory: it is swapped out then")
	f.StringVar(&o.name, "name", "", "name of the job (default that of the program)")
	f.DurationVar(&o.wait, "wait", 0, "how long to wait for room; who asks first when there is some has it")
	f.StringVar(&o.dir, "dir", "", "folder of the agent "+agentDirDefault)
	return c
}

// request reads what is asked for.
func (o *runFlags) request(args []string) (agent.Request, error) {
	r := agent.Request{Name: o.name, Devices: o.devices, Mode: o.mode, Priority: o.priority}
	if r.Name == "" {
		r.Name = filepath.Base(args[0])
	}
	switch {
	case o.preemptible && o.lend:
		return r, errors.New("--preemptible and --lend are both given: what has nothing of its own has nothing to lend")
	case o.preemptible:
		r.Policy = agent.Borrow
	case o.lend:
		r.Policy = agent.Lend
	}
	if o.gpu == "" && o.memory == "" {
		return r, errors.New("no part of a GPU is asked for: write --gpu 0.25 or --gpu-memory 10Gi")
	}
	if o.gpu != "" {
		micro, err := quantity.ParseGPUs(o.gpu)
		if err != nil {
			return r, fmt.Errorf("--gpu: %w", err)
		}
		if micro <= 0 || micro > 1_000_000 || micro%1000 != 0 {
			return r, fmt.Errorf("--gpu: %s is no part of one GPU in thousandths: write 0.001 to 1", o.gpu)
		}
		r.Compute = micro / 1000
	}
	var err error
	if r.Memory, err = bytesOf("--gpu-memory", o.memory); err != nil {
		return r, err
	}
	if r.Most, err = bytesOf("--gpu-memory-limit", o.most); err != nil {
		return r, err
	}
	if r.Most > 0 && !o.lend {
		return r, errors.New("--gpu-memory-limit is given without --lend: what bursts into the memory of others must be " +
			"such as may be swapped out when they want it; add --lend")
	}
	return r, r.Check()
}

// bytesOf reads an amount of memory; 0 where none is given.
func bytesOf(flag, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	mib, err := quantity.ParseMemory(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", flag, err)
	}
	return uint64(mib) << 20, nil
}

// environment is what the program finds: what there was, and what the agent
// adds. Library paths are put in front of those there.
func environment(old []string, add map[string]string) []string {
	out := slices.DeleteFunc(slices.Clone(old), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		_, replaced := add[name]
		return replaced
	})
	for _, name := range slices.Sorted(maps.Keys(add)) {
		value := add[name]
		if name == "LD_LIBRARY_PATH" {
			for _, pair := range old {
				if rest, ok := strings.CutPrefix(pair, name+"="); ok && rest != "" {
					value += ":" + rest
				}
			}
		}
		out = append(out, name+"="+value)
	}
	return out
}
