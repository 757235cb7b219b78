package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/weir-gpu/weir/cli/target"
	"github.com/weir-gpu/weir/cli/text"
)

// logging is the logs command with its flags.
type logging struct {
	follow, previous bool
	pod, container   string
	tail             int64
	since            time.Duration
}

func (s *session) logs() *cobra.Command {
	l := &logging{}
	c := &cobra.Command{
		Use:   "logs NAME",
		Short: "Print what the pods of a workload write",
		Long: `Print what the pods of a workload write. Where it has several pods, each line
starts with the pod's name.`,
		Example:           "weir logs llm -f\nweir logs llm --pod 0 --tail 100",
		Args:              exactlyOne("workload"),
		ValidArgsFunction: s.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.runLogs(cmd.Context(), l, args[0])
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.BoolVarP(&l.follow, "follow", "f", false, "stay and print what is written from now on")
	f.BoolVarP(&l.previous, "previous", "p", false, "of the container's previous run")
	f.StringVar(&l.pod, "pod", "", "only of this pod: its name, or its number in a job")
	f.StringVarP(&l.container, "container", "c", "", "container (default the first)")
	f.Int64Var(&l.tail, "tail", -1, "only the last lines of each pod (default all)")
	f.DurationVar(&l.since, "since", 0, "only what is younger, such as 5m")
	return c
}

func (s *session) runLogs(ctx context.Context, l *logging, name string) error {
	if l.since < 0 {
		return refused("--since %s is less than nothing: write a duration such as 5m", l.since)
	}
	c, namespace, err := s.connect()
	if err != nil {
		return err
	}
	o, err := s.targetOrPod(ctx, c, namespace, name)
	if err != nil {
		return err
	}
	pods, err := l.choose(o)
	if err != nil {
		return err
	}
	var writes sync.Mutex
	errs := make([]error, len(pods))
	var wait sync.WaitGroup
	for i := range pods {
		prefix := ""
		if len(pods) > 1 {
			prefix = s.palette(s.out).Apply(text.Dim, "["+pods[i].Name+"]") + " "
		}
		read := func() { errs[i] = s.copyLogs(ctx, c, l, &pods[i], prefix, &writes) }
		if l.follow {
			wait.Go(read)
		} else {
			read()
		}
	}
	wait.Wait()
	return errors.Join(errs...)
}

// choose picks the pods that have something to tell.
func (l *logging) choose(o target.Object) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	waiting := 0
	for _, p := range o.Pods {
		switch {
		case l.pod != "" && p.Name != l.pod && p.Annotations["batch.kubernetes.io/job-completion-index"] != l.pod:
		case p.Spec.NodeName == "":
			waiting++
		default:
			pods = append(pods, p)
		}
	}
	switch {
	case len(pods) > 0:
		return pods, nil
	case waiting > 0:
		return nil, fmt.Errorf("%s has written nothing because it waits: see why with weir explain %s", o.ID(), o.ID())
	case l.pod != "" && len(o.Pods) > 0:
		names := make([]string, len(o.Pods))
		for i := range o.Pods {
			names[i] = o.Pods[i].Name
		}
		return nil, notFound("%s has no pod %q%s", o.ID(), l.pod, listed(l.pod, names, ""))
	}
	return nil, notFound("%s has no pods", o.ID())
}

func (s *session) copyLogs(ctx context.Context, c Clients, l *logging, p *corev1.Pod, prefix string,
	writes *sync.Mutex,
) error {
	options := &corev1.PodLogOptions{Follow: l.follow, Previous: l.previous, Container: l.container}
	if options.Container == "" {
		options.Container = p.Spec.Containers[0].Name
	}
	if l.tail >= 0 {
		options.TailLines = &l.tail
	}
	if l.since > 0 {
		options.SinceSeconds = new(int64((l.since + time.Second - 1) / time.Second))
	}
	stream, err := c.Kube.CoreV1().Pods(p.Namespace).GetLogs(p.Name, options).Stream(ctx)
	if err != nil {
		return fmt.Errorf("pod %s: %w", p.Name, err)
	}
	defer stream.Close()
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			writes.Lock()
			_, werr := io.WriteString(s.out, prefix+strings.TrimSuffix(line, "\n")+"\n")
			writes.Unlock()
			if werr != nil {
				return werr
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
