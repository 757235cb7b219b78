package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/submit"
	"github.com/weir-gpu/weir/sched"
)

func (s *session) submit() *cobra.Command {
	return group("submit", "Submit work: build, train or infer",
		`Submit work. What comes after -- is the command to run in the container; without
it, the image's own command runs.

The object that is made is an ordinary one (a Pod, a Job or a Deployment): see
it with --dry-run, and keep it as YAML if you like.`,
		s.submitKind(sched.Build, "Start one interactive pod to work in",
			"A build workload is one bare pod with a terminal. It is not preemptible unless you say so,\n"+
				"because nothing would start it again.",
			"# a shell with half a GPU\nweir submit build dev --image python:3.13 --gpu 0.5 -- bash"),
		s.submitKind(sched.Train, "Start a job, of one pod or of a gang of pods",
			"A train workload is a Job. Its pods start together or not at all, run to their end, and are\n"+
				"preemptible unless you say otherwise: a pod that is taken back is made again and does not\n"+
				"count as failed. Each pod knows its number as $JOB_COMPLETION_INDEX.",
			"# four pods with eight GPUs each\n"+
				"weir submit train llm --image pytorch:2 --pods 4 --gpu 8 -- torchrun train.py\n\n"+
				"# 10 GiB of GPU memory on an A100 or an H100\n"+
				"weir submit train tune --image pytorch:2 --gpu-memory 10Gi --gpu-models A100,H100 -- python tune.py"),
		s.submitKind(sched.Infer, "Start a server with replicas",
			"An infer workload is a Deployment. It runs until it is deleted, and is not preemptible unless\nyou say so.",
			"# two replicas with a quarter of a GPU each, which may use a whole one when nobody else does\n"+
				"weir submit infer chat --image vllm:1 --replicas 2 --gpu 0.25 --gpu-limit 1"),
	)
}

// submission is one submit command with its flags.
type submission struct {
	submit.Options
	kind        sched.Kind
	out         output
	priority    int32
	preemptible bool
	dryRun      bool
	watch       bool
}

func (s *session) submitKind(kind sched.Kind, short, long, example string) *cobra.Command {
	sub := &submission{kind: kind}
	c := &cobra.Command{
		Use:     string(kind) + " NAME --image IMAGE [flags] [-- COMMAND [ARG...]]",
		Short:   short,
		Long:    long,
		Example: example,
		Args:    sub.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("priority") {
				sub.Priority = &sub.priority
			}
			if cmd.Flags().Changed("preemptible") {
				sub.Preempt = &sub.preemptible
			}
			return s.runSubmit(cmd.Context(), sub)
		},
	}
	sub.flags(c)
	return c
}

// args takes the name, and the command behind the dash.
func (sub *submission) args(cmd *cobra.Command, args []string) error {
	before := args
	if dash := cmd.ArgsLenAtDash(); dash >= 0 {
		before, sub.Command = args[:dash], args[dash:]
	}
	switch len(before) {
	case 0:
		return fmt.Errorf("the name is missing: write it first, such as %s my-job", cmd.CommandPath())
	case 1:
		sub.Name = before[0]
		return nil
	}
	return fmt.Errorf("%q is one word too many: write the command to run after --, such as %s %s -- %s",
		before[1], cmd.CommandPath(), before[0], strings.Join(before[1:], " "))
}

func (sub *submission) flags(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&sub.Image, "image", "", "container image (required)")
	f.StringVar(&sub.Project, "project", "", "project that it belongs to (default that of the namespace)")
	f.StringVar(&sub.GPU, "gpu", "", "GPUs of each pod: a whole number, or a part of one such as 0.5")
	f.StringVar(&sub.GPULimit, "gpu-limit", "", "part of a GPU up to which it may burst (with --gpu below 1)")
	f.StringVar(&sub.GPUMemory, "gpu-memory", "", "GPU memory of each pod, such as 10Gi; a plain number is MiB")
	f.StringVar(&sub.GPUMemoryLimit, "gpu-memory-limit", "", "GPU memory up to which it may burst (with --gpu-memory)")
	f.StringVar(&sub.GPUCompute, "gpu-compute", "", "part of a GPU's compute, such as 0.3 (with --gpu-memory)")
	f.IntVar(&sub.GPUDevices, "gpu-devices", 0, "take that part of each of so many GPUs (default 1)")
	f.StringSliceVar(&sub.GPUModels, "gpu-models", nil, "GPU models that will do, such as A100,H100 (default any)")
	f.StringVar(&sub.CPU, "cpu", "", "CPUs of each pod, such as 4 or 500m")
	f.StringVar(&sub.Memory, "memory", "", "memory of each pod, such as 16Gi")
	f.StringArrayVarP(&sub.Env, "env", "e", nil, "environment variable `NAME=value` (repeatable)")
	f.StringArrayVar(&sub.Notes, "annotation", nil, "annotation `NAME=value` of the pods (repeatable)")
	f.Int32Var(&sub.priority, "priority", 0, "priority within the project; higher goes first (default that of the kind)")
	f.BoolVar(&sub.preemptible, "preemptible", false,
		"may borrow above the quota, and be taken back (default that of the kind)")
	f.StringSliceVar(&sub.NodePools, "node-pool", nil, "node pools to use, in order of preference (default the project's)")
	f.DurationVar(&sub.Runtime, "expected-runtime", 0,
		"how long each pod is expected to run, such as 2h: where its project serves the shortest first")
	f.DurationVar(&sub.MinRuntime, "min-runtime", 0, "how long it is left alone once it runs, such as 5m")
	switch sub.kind {
	case sched.Train:
		f.IntVar(&sub.Pods, "pods", 1, "how many pods; they start together")
		f.IntVar(&sub.MinPods, "min-pods", 0, "start when so many of them can (default all)")
		f.IntVar(&sub.Retries, "retries", 3, "how many pods may fail before the job does; evictions do not count")
	case sched.Infer:
		f.IntVar(&sub.Pods, "replicas", 1, "how many pods")
	default:
		sub.Pods = 1
	}
	f.BoolVar(&sub.dryRun, "dry-run", false, "print the object and send nothing; needs no cluster")
	f.BoolVarP(&sub.watch, "watch", "w", false, "stay and tell what becomes of it until it runs")
	sub.out.addTo(c, "json", "yaml", "name")
}

func (s *session) runSubmit(ctx context.Context, sub *submission) error {
	if sub.dryRun {
		sub.Namespace = s.dryRunNamespace(sub.Project)
		obj, err := submit.Build(sub.kind, sub.Options)
		if err != nil {
			return coded{exitUsage, err}
		}
		return s.printSubmitted(sub, obj)
	}
	// What is wrong with the words is said before any cluster is asked.
	if _, err := submit.Build(sub.kind, sub.Options); err != nil {
		return coded{exitUsage, err}
	}
	c, namespace, err := s.connect()
	if err != nil {
		return err
	}
	if sub.Namespace, err = s.submitTo(ctx, c, namespace, sub.Project); err != nil {
		return err
	}
	obj, err := submit.Build(sub.kind, sub.Options)
	if err != nil {
		return coded{exitUsage, err}
	}
	if err := s.send(ctx, c, obj); err != nil {
		return err
	}
	if err := s.printSubmitted(sub, obj); err != nil || !sub.watch {
		return err
	}
	return s.follow(ctx, c, idOf(obj))
}

// dryRunNamespace is the namespace without asking a cluster: a project's own
// is the one of its name.
func (s *session) dryRunNamespace(project string) string {
	if s.namespace != "" {
		return s.namespace
	}
	if project != "" {
		return project
	}
	if namespace, _, err := s.config().Namespace(); err == nil {
		return namespace
	}
	return metav1.NamespaceDefault
}

// submitTo settles the namespace that work goes to: that of the flag, or of
// the context where it is one of the project's, or the project's first.
func (s *session) submitTo(ctx context.Context, c Clients, namespace, project string) (string, error) {
	projects, err := listProjects(ctx, c)
	if apierrors.IsForbidden(err) {
		return namespace, nil // who may not look is told by admission
	}
	if err != nil {
		return "", err
	}
	if project == "" {
		for _, p := range projects {
			if slices.Contains(p.namespaces, namespace) {
				return namespace, nil
			}
		}
		return "", refused("namespace %s belongs to no project, so nothing is guaranteed to it: name a project "+
			"with --project%s", namespace, listed(namespace, projectNames(projects), "there is none yet, so make one with "+
			s.program+" project create NAME --gpu 8"))
	}
	for _, p := range projects {
		if p.name != project {
			continue
		}
		if s.namespace != "" || slices.Contains(p.namespaces, namespace) {
			return namespace, nil
		}
		return p.namespaces[0], nil
	}
	return "", notFound("there is no project %q%s", project, listed(project, projectNames(projects),
		"make it with "+s.program+" project create "+project+" --gpu 8"))
}

// send creates the object.
func (s *session) send(ctx context.Context, c Clients, obj submit.Object) error {
	plain, err := submit.Plain(obj)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: plain}
	resource, err := resourceOf(c, u.GroupVersionKind())
	if err != nil {
		return err
	}
	_, err = c.Dynamic.Resource(resource).Namespace(obj.GetNamespace()).Create(ctx, u, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return refused("there is a %s named %s in %s already: choose another name, or delete that one with %s delete %s",
			strings.ToLower(u.GetKind()), u.GetName(), u.GetNamespace(), s.program, idOf(obj))
	case apierrors.IsNotFound(err):
		return notFound("namespace %s does not exist: create it with kubectl create namespace %s",
			obj.GetNamespace(), obj.GetNamespace())
	}
	return err
}

// idOf is the ID of the workload that an object becomes.
func idOf(obj submit.Object) string {
	kind := strings.ToLower(obj.GetObjectKind().GroupVersionKind().Kind)
	return obj.GetNamespace() + "/" + kind + "/" + obj.GetName()
}

func (s *session) printSubmitted(sub *submission, obj submit.Object) error {
	switch {
	case sub.out.format == "name":
		fmt.Fprintln(s.out, idOf(obj))
		return nil
	case sub.out.format == "json":
		plain, err := submit.Plain(obj)
		if err != nil {
			return err
		}
		return s.print(sub.out, plain)
	case sub.dryRun || sub.out.format == "yaml":
		raw, err := submit.YAML(obj)
		if err != nil {
			return err
		}
		_, err = s.out.Write(raw)
		return err
	}
	id := idOf(obj)
	fmt.Fprintf(s.out, "%s submitted\n", id)
	s.note("see why it waits with: %s explain %s", s.program, id)
	if sub.kind == sched.Build {
		s.note("work in it with:       kubectl attach -it -n %s %s", obj.GetNamespace(), obj.GetName())
	}
	return nil
}

// follow tells what becomes of a workload until it runs or has ended.
func (s *session) follow(ctx context.Context, c Clients, id string) error {
	last := ""
	for {
		v, err := s.parts.Snapshot(ctx, c, s.now())
		if err != nil {
			return err
		}
		for _, w := range v.Find("", id) {
			v.Fill(&w)
			if line := progress(w); line != last {
				last = line
				fmt.Fprintf(s.out, "%s  %s\n", v.Time.Local().Format(time.TimeOnly), line)
			}
			switch {
			case w.Status == snapshot.Failed:
				return fmt.Errorf("%s failed: see %s logs %s", id, s.program, id)
			case w.Status == snapshot.Running || w.Status.Done():
				return nil
			}
		}
		if err := s.pause(ctx, watchEvery); err != nil {
			return err
		}
	}
}

func progress(w snapshot.Workload) string {
	line := string(w.Status)
	if w.Message != "" {
		line += ": " + w.Message
	}
	return line
}
