package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/cli/text"
)

// What a terminal is told: redraw from the corner, do not wrap long lines,
// and leave things as they were.
const (
	screenHome  = "\x1b[H"
	screenClear = "\x1b[J"
	lineClear   = "\x1b[K"
	screenOpen  = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	screenClose = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

func (s *session) top() *cobra.Command {
	var out output
	var once, machine bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "top",
		Short: "Show GPUs, quotas and the queue, live",
		Long: `Show how full the pools are, what each department and project is guaranteed,
uses, borrows and lends, and who waits. It redraws itself until Ctrl-C; where the
output is no terminal, it prints once. Where there is no cluster, it shows the GPUs
of this machine that weir agent shares.`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < 100*time.Millisecond {
				return refused("--every %s is too short: write 100ms or more", every)
			}
			if machine || s.alone() {
				return s.topAgent(cmd.Context(), out)
			}
			if once || out.data() || !text.IsTerminal(s.out) {
				return s.orMachine(s.topOnce(cmd.Context(), out))
			}
			return s.orMachine(s.topLive(cmd.Context(), every))
		},
	}
	c.Flags().BoolVar(&once, "once", false, "print once and end")
	c.Flags().BoolVar(&machine, "machine", false, "show what this machine's agent shares, where there is a cluster too")
	c.Flags().DurationVar(&every, "every", watchEvery, "pause between two looks")
	out.addTo(c, "json", "yaml")
	return c
}

// queueShown is how much of the queue is printed where there is no screen.
const queueShown = 20

func (s *session) topOnce(ctx context.Context, out output) error {
	v, _, err := s.view(ctx)
	if err != nil {
		return err
	}
	t := show.NewTop(v, queueShown)
	if out.data() {
		return s.print(out, t)
	}
	return t.Write(s.out, s.palette(s.out))
}

func (s *session) topLive(ctx context.Context, every time.Duration) error {
	fmt.Fprint(s.out, screenOpen)
	defer fmt.Fprint(s.out, screenClose)
	for {
		if err := s.drawTop(ctx); err != nil {
			return err
		}
		if err := s.pause(ctx, every); err != nil {
			if errors.Is(err, context.Canceled) {
				return nil // Ctrl-C is how one leaves
			}
			return err
		}
	}
}

// drawTop draws one screen: as many lines as there are rows.
func (s *session) drawTop(ctx context.Context) error {
	v, _, err := s.view(ctx)
	if err != nil {
		return err
	}
	_, rows := text.Size(s.out)
	var b bytes.Buffer
	if err := show.NewTop(v, queueShown).Write(&b, s.palette(s.out)); err != nil {
		return err
	}
	lines := bytes.Split(bytes.TrimRight(b.Bytes(), "\n"), []byte("\n"))
	if rows > 0 && len(lines) > rows {
		lines = lines[:rows]
	}
	screen := bytes.Join(lines, []byte(lineClear+"\r\n"))
	_, err = fmt.Fprintf(s.out, "%s%s%s%s", screenHome, screen, lineClear, screenClear)
	return err
}
