package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/sched"
)

func (s *session) explain() *cobra.Command {
	var out output
	var exitCode bool
	c := &cobra.Command{
		Use:   "explain NAME...",
		Short: "Explain why a workload is where it is",
		Long: `Explain why a workload runs or waits: what it asks for, what was checked with
the numbers, who holds what it lacks and why that is not taken from them, and
with what change it would start now.

NAME is the name of the workload or of one of its pods. Where it is not unique,
write kind/name, namespace/name or namespace/kind/name.`,
		Example:           "weir explain llm\nweir explain ml/job/llm --exit-code",
		Args:              atLeastOne("workload"),
		ValidArgsFunction: s.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.runExplain(cmd.Context(), args, out, exitCode)
		},
	}
	c.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 4 when one of them waits")
	out.addTo(c, "json", "yaml")
	return c
}

func (s *session) runExplain(ctx context.Context, refs []string, out output, exitCode bool) error {
	v, namespace, err := s.view(ctx)
	if err != nil {
		return err
	}
	var answers []sched.Explanation
	for _, ref := range refs {
		gangs, err := s.gangs(v, namespace, ref)
		if err != nil {
			return err
		}
		for _, w := range gangs {
			answers = append(answers, explanationOf(v, w))
		}
	}
	if err := s.printExplanations(out, answers); err != nil {
		return err
	}
	waits := func(ex sched.Explanation) bool { return ex.Reason != sched.ReasonRunning }
	if exitCode && slices.ContainsFunc(answers, waits) {
		return errWaiting
	}
	return nil
}

// explanationOf asks the engine. Those that have ended it does not know.
func explanationOf(v *snapshot.View, w snapshot.Workload) sched.Explanation {
	if v.Explain != nil {
		if ex, ok := v.Explain(w.ID); ok {
			return ex
		}
	}
	return sched.Explanation{Workload: w.ID, Owner: "project/" + w.Project, Reason: sched.Reason(w.Status),
		Message: fmt.Sprintf("It has ended: %s.", w.Status)}
}

func (s *session) printExplanations(out output, answers []sched.Explanation) error {
	if out.data() && len(answers) == 1 {
		return s.print(out, show.NewExplained(answers[0]))
	}
	if out.data() {
		list := make([]show.Explained, len(answers))
		for i, ex := range answers {
			list[i] = show.NewExplained(ex)
		}
		return s.print(out, itemsOf(list))
	}
	for i, ex := range answers {
		if i > 0 {
			fmt.Fprintln(s.out)
		}
		if err := show.Explain(s.out, s.palette(s.out), ex); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) describe() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:               "describe NAME...",
		Short:             "Show all about a workload: its pods, its devices, what happened",
		Args:              atLeastOne("workload"),
		ValidArgsFunction: s.completeWorkloads,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.runDescribe(cmd.Context(), args, out)
		},
	}
	out.addTo(c, "json", "yaml")
	return c
}

// described is a workload with what happened to it, for programs.
type described struct {
	snapshot.Workload
	Events []show.Event `json:"events"`
}

func (s *session) runDescribe(ctx context.Context, refs []string, out output) error {
	v, namespace, err := s.view(ctx)
	if err != nil {
		return err
	}
	c, _, err := s.connect()
	if err != nil {
		return err
	}
	var found []described
	for _, ref := range refs {
		gangs, err := s.gangs(v, namespace, ref)
		if err != nil {
			return err
		}
		for _, w := range gangs {
			events, err := happened(ctx, c, w)
			if err != nil {
				return err
			}
			found = append(found, described{w, events})
		}
	}
	if out.data() && len(found) == 1 {
		return s.print(out, found[0])
	}
	if out.data() {
		return s.print(out, itemsOf(found))
	}
	for i, d := range found {
		if i > 0 {
			fmt.Fprintln(s.out)
		}
		if err := show.Describe(s.out, s.palette(s.out), d.Workload, d.Events, v.Time); err != nil {
			return err
		}
	}
	return nil
}

// happened lists the last events of a workload's object and of its pods.
func happened(ctx context.Context, c Clients, w snapshot.Workload) ([]show.Event, error) {
	const shown = 10
	list, err := c.Kube.CoreV1().Events(w.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	pods := map[string]bool{}
	for _, p := range w.Pods {
		pods[p.Name] = true
	}
	events := []show.Event{}
	for i := range list.Items {
		e := &list.Items[i]
		on := e.InvolvedObject
		if !(on.Kind == "Pod" && pods[on.Name]) && !isObject(w, on.Kind, on.Name) {
			continue
		}
		events = append(events, show.Event{Time: lastSeen(e.LastTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time),
			Object: on.Kind + " " + on.Name, Warning: e.Type == "Warning", Reason: e.Reason, Message: e.Message,
			Count: int(e.Count)})
	}
	slices.SortStableFunc(events, func(a, b show.Event) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Object, b.Object))
	})
	return events[max(0, len(events)-shown):], nil
}

// lastSeen is the first of the times that is set: old and new events keep it
// in different fields.
func lastSeen(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
