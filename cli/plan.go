package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/show"
)

// PlanOptions is what `weir plan` was asked for.
type PlanOptions struct {
	Files []string // files, directories, or "-" for In
	In    io.Reader
	Now   time.Time
}

func (s *session) plan() *cobra.Command {
	o := PlanOptions{}
	var out output
	var exitCode bool
	c := &cobra.Command{
		Use:   "plan -f FILE|DIR|-",
		Short: "Say what the scheduler would do with objects from files; needs no cluster",
		Long: `Read ordinary Kubernetes objects (nodes, pods, jobs, projects …) from YAML or JSON
and say what the scheduler would do now. It is the same code as the live
scheduler, and gives the same answer. See docs/reference/plan.md.`,
		Example: "weir plan -f cluster/ -o json\n" +
			"kubectl get nodes,pods,projects,departments -A -o yaml | weir plan -f -",
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.In, o.Now = s.in, s.now()
			return s.runPlan(cmd.Context(), o, out, exitCode)
		},
	}
	f := c.Flags()
	f.StringArrayVarP(&o.Files, "filename", "f", nil, "file, directory, or - for standard input (repeatable)")
	f.BoolVar(&exitCode, "exit-code", false, "exit with 4 when something would wait")
	out.addTo(c, "json", "yaml")
	return c
}

func (s *session) runPlan(ctx context.Context, o PlanOptions, out output, exitCode bool) error {
	if len(o.Files) == 0 {
		return refused("-f is missing: name a file or a directory with Kubernetes objects, or - for standard input")
	}
	if s.parts.Plan == nil {
		return errMissingPart("the planner")
	}
	p, err := s.parts.Plan(ctx, o)
	var missing *fs.PathError
	switch {
	case errors.As(err, &missing) && errors.Is(err, fs.ErrNotExist):
		return notFound("there is no file or directory %s", missing.Path)
	case err != nil:
		return coded{exitUsage, err}
	}
	for _, note := range p.Notes {
		s.note("note: %s", note)
	}
	if out.data() {
		err = s.print(out, p)
	} else {
		err = show.Plan(s.out, s.palette(s.out), p)
	}
	if err == nil && exitCode && len(p.Waiting) > 0 {
		return errWaiting
	}
	return err
}
