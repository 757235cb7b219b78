package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/node/agent"
	"github.com/weir-gpu/weir/node/client"
)

// lookEvery is how often a swap is looked at that somebody waits for.
const lookEvery = 100 * time.Millisecond

func (s *session) swap() *cobra.Command {
	return group("swap", "Swap a job of this machine out of its GPU's memory, or in again",
		`Swap a job that weir run has started out of its GPU's memory, or in again. Swapped
out it has nothing of the GPU and stands still; it goes on as if nothing had been
when it is in again. It must have been started with --preemptible or --lend.`,
		s.swapTo(agent.Out, "Swap a job out; it stays out until weir swap in",
			`Swap a job out: its memory goes to the agent's arena on the host, and it stands
still until weir swap in.`),
		s.swapTo(agent.In, "Let a job in again",
			`Let a job in again that weir swap out has swapped out. Where there is no room, it
comes in when there is: those who borrow make room for those who were promised
theirs.`),
	)
}

func (s *session) swapTo(to, short, long string) *cobra.Command {
	var dir string
	var nowait bool
	c := &cobra.Command{
		Use:     to + " JOB",
		Short:   short,
		Long:    long,
		Example: "weir swap " + to + " j1",
		Args:    exactlyOne("job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := client.New(cmp.Or(dir, s.agentDir()))
			j, err := jobOf(cmd.Context(), c, args[0])
			if err == nil {
				err = c.Swap(cmd.Context(), j.ID, to)
			}
			if err != nil {
				return err
			}
			if !nowait {
				if j, err = s.swapped(cmd.Context(), c, j.ID, to); err != nil {
					return err
				}
			}
			out := uint64(0)
			for _, p := range j.Parts {
				out += p.Swapped
			}
			fmt.Fprintf(s.out, "job %s (%s) is %s: %s with the host\n", j.ID, j.Name, j.State, quantity.Bytes(int64(out)))
			return nil
		},
	}
	c.Flags().BoolVar(&nowait, "no-wait", false, "do not wait until it is there")
	c.Flags().StringVar(&dir, "dir", "", "folder of the agent "+agentDirDefault)
	return c
}

// jobOf returns the job of an ID or, where that is unique, of a name.
func jobOf(ctx context.Context, c *client.Client, name string) (found agent.Job, err error) {
	n, err := c.Node(ctx)
	if err != nil {
		return found, err
	}
	var names []string
	matches := 0
	for _, j := range n.Jobs {
		if j.ID == name {
			return j, nil
		}
		if names = append(names, j.ID); j.Name == name {
			found, matches = j, matches+1
		}
	}
	switch matches {
	case 1:
		return found, nil
	case 0:
		return found, notFound("there is no job %q%s", name, listed(name, names, "no job runs here"))
	}
	return found, refused("%d jobs are called %q: name one by its ID, which weir top shows", matches, name)
}

// swapped waits until a job is where it is to be.
func (s *session) swapped(ctx context.Context, c *client.Client, id, to string) (agent.Job, error) {
	for {
		j, err := jobOf(ctx, c, id)
		switch {
		case err != nil || j.State == to:
			return j, err
		case to == agent.Out && j.Stuck != "":
			return j, fmt.Errorf("job %s was not swapped out: %s", id, j.Stuck)
		}
		if err := s.pause(ctx, lookEvery); err != nil {
			return j, err
		}
	}
}
