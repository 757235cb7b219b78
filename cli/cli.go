// Package cli is the weir command: what people type, and what they read.
//
// Commands only translate: they read flags, ask a package that knows, and
// print. The rooms that are heavy (the scheduler, the embedded cluster) are
// passed in as [Parts], so that this package can be tested without them.
//
// It holds no state between runs and starts nothing that outlives a command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/kube/plan/result"
)

// Parts are the rooms of Weir behind the commands. A nil part is one that the
// binary was built without.
type Parts struct {
	// Connect makes the clients for a cluster.
	Connect func(*rest.Config) (Clients, error)
	// Snapshot reads the state of a cluster.
	Snapshot func(context.Context, Clients, time.Time) (*snapshot.View, error)
	// Plan says what the scheduler would do with objects from files.
	Plan func(context.Context, PlanOptions) (*result.Plan, error)
	// Up runs the embedded cluster until the context ends.
	Up func(context.Context, UpOptions) error
	// Scheduler runs the scheduler until the context ends.
	Scheduler func(context.Context, SchedulerOptions) error
	// Agent shares this machine's GPUs until the context ends.
	Agent func(context.Context, AgentOptions) error
	// Exec puts a program in the place of this one.
	Exec func(path string, args, env []string) error
	// LocalKubeconfig is where `weir up` leaves its kubeconfig; it is used
	// when there is no other.
	LocalKubeconfig func() string
}

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs the command and returns its exit code; see docs/reference/cli.md.
// args are those of the process, the program's own name first.
func Main(ctx context.Context, parts Parts, args []string, s Streams) int {
	ss := &session{
		parts: parts, in: s.In, out: s.Out, err: s.Err,
		getenv: os.Getenv, environ: os.Environ, now: time.Now, pause: sleep, program: "weir",
	}
	args = ss.invokedAs(args)
	return ss.run(ctx, args)
}

// session is one run of the command.
type session struct {
	parts    Parts
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	environ  func() []string
	now      func() time.Time
	pause    func(context.Context, time.Duration) error
	program  string // how people call it: "weir" or "kubectl weir"
	started  bool   // flags and arguments were understood

	kubeconfig, kubecontext, namespace string
}

// invokedAs looks at the name by which the program was called: kubectl runs
// plugins as kubectl-weir, and asks for their completion as
// kubectl_complete-weir.
func (s *session) invokedAs(args []string) []string {
	name := ""
	if len(args) > 0 {
		name, args = strings.TrimSuffix(filepath.Base(args[0]), ".exe"), args[1:]
	}
	switch name {
	case "kubectl-weir":
		s.program = "kubectl weir"
	case "kubectl_complete-weir":
		s.program = "kubectl weir"
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	return args
}

func (s *session) run(ctx context.Context, args []string) int {
	root := s.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code, sentence := s.verdict(err)
	if sentence != "" {
		fmt.Fprintf(s.err, "%s %s\n", s.palette(s.err).Apply(text.Bad, "weir:"), sentence)
	}
	return code
}

func (s *session) palette(w io.Writer) text.Palette { return text.Colours(w, s.getenv) }

// note writes a message for people; it is not part of a command's output.
func (s *session) note(format string, args ...any) { fmt.Fprintf(s.err, format+"\n", args...) }

func (s *session) root() *cobra.Command {
	root := group("weir", "Share the GPUs of a Kubernetes cluster",
		`Weir turns the GPUs of a Kubernetes cluster into one pool that teams share.

Submit work and see why it waits, look at who uses what, and give teams their
quotas. Without a cluster, weir plan says what the scheduler would do with
objects from files, and weir up starts a cluster with simulated GPUs here.`,
		"work", "Work:", s.submit(), s.list(), s.describe(), s.explain(), s.logs(), s.suspend(), s.resume(), s.delete(),
		"cluster", "Cluster:", s.top(), s.node(), s.pool(), s.department(), s.project(),
		"machine", "One machine:", s.agent(), s.runProgram(), s.swap(),
		"run", "Running Weir:", s.plan(), s.simulate(), s.up(), s.install(), s.uninstall(), s.scheduler(),
	)
	if s.program != "weir" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: s.program}
	}
	root.AddCommand(s.version())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.PersistentPreRun = func(*cobra.Command, []string) { s.started = true }
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	f := root.PersistentFlags()
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig file (default $KUBECONFIG, then ~/.kube/config)")
	f.StringVar(&s.kubecontext, "context", "", "context of the kubeconfig")
	f.StringVarP(&s.namespace, "namespace", "n", "", "namespace (default that of the context)")
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}",
		"{{if and .Runnable (not .HasAvailableSubCommands)}}", 1)) // groups are runnable only to refuse what they lack
	s.dress(root)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	return root
}

// dress indents the examples of all commands, and writes them as people call
// the program.
func (s *session) dress(c *cobra.Command) {
	if c.Example != "" {
		lines := strings.Split(c.Example, "\n")
		for i, line := range lines {
			if rest, ok := strings.CutPrefix(line, "weir "); ok {
				line = s.program + " " + rest
			}
			if line != "" {
				line = "  " + line
			}
			lines[i] = line
		}
		c.Example = strings.Join(lines, "\n")
	}
	for _, sub := range c.Commands() {
		s.dress(sub)
	}
}

// group is a command that only has others below it. parts are commands, and
// pairs of strings that start a group of them in the help.
func group(use, short, long string, parts ...any) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long}
	c.RunE = func(cmd *cobra.Command, args []string) error { return cmd.Help() }
	c.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		var names []string
		for _, sub := range cmd.Commands() {
			if !sub.Hidden {
				names = append(names, sub.Name())
			}
		}
		return fmt.Errorf("there is no command %q%s; see %s --help", cmd.CommandPath()+" "+args[0],
			similarTo(args[0], names), cmd.CommandPath())
	}
	var id string
	for i := 0; i < len(parts); i++ {
		switch p := parts[i].(type) {
		case string:
			id = p
			c.AddGroup(&cobra.Group{ID: id, Title: parts[i+1].(string)})
			i++
		case *cobra.Command:
			p.GroupID = id
			c.AddCommand(p)
		}
	}
	return c
}

// errMissingPart is for commands whose room was not built in.
func errMissingPart(name string) error {
	return errors.New("this weir was built without " + name + ": use the released binary, or build ./cmd/weir")
}
