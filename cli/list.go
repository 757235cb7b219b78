package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weir-gpu/weir/cli/show"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/sched"
)

// listing is the list command with its flags.
type listing struct {
	out            output
	everywhere     bool
	all            bool
	project        string
	kinds, states  []string
	watch, noHeads bool
}

var (
	kindNames   = []string{string(sched.Build), string(sched.Train), string(sched.Infer)}
	statusNames = []string{"Waiting", "Starting", "Running", "Leaving", "Suspended", "Succeeded", "Failed"}
)

func (s *session) list() *cobra.Command {
	l := &listing{}
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List workloads and why they wait",
		Example: "weir list -A --status waiting\nweir list --project vision -o wide",
		Args:    nothing,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.runList(cmd.Context(), l) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.BoolVarP(&l.everywhere, "all-namespaces", "A", false, "in all namespaces")
	f.BoolVarP(&l.all, "all", "a", false, "also those that have ended")
	f.StringVar(&l.project, "project", "", "only those of this project, in whatever namespace")
	f.StringSliceVar(&l.kinds, "kind", nil, "only these kinds: "+strings.Join(kindNames, ", "))
	f.StringSliceVar(&l.states, "status", nil, "only these statuses: "+strings.ToLower(strings.Join(statusNames, ", ")))
	f.BoolVarP(&l.watch, "watch", "w", false, "stay and print what changes")
	f.BoolVar(&l.noHeads, "no-headers", false, "leave out the headings")
	l.out.addTo(c, "json", "yaml", "wide", "name")
	return c
}

func (l *listing) check() error {
	for _, k := range l.kinds {
		if !slices.Contains(kindNames, k) {
			return refused("--kind %q is no kind of workload: write %s", k, strings.Join(kindNames, ", "))
		}
	}
	for i, st := range l.states {
		known := slices.IndexFunc(statusNames, func(n string) bool { return strings.EqualFold(n, st) })
		if known < 0 {
			return refused("--status %q is no status: write %s", st, strings.ToLower(strings.Join(statusNames, ", ")))
		}
		l.states[i] = statusNames[known]
	}
	if l.watch && l.out.data() {
		return refused("--watch prints lines, not %s: leave one of the two out", l.out.format)
	}
	return nil
}

func (s *session) runList(ctx context.Context, l *listing) error {
	if err := l.check(); err != nil {
		return err
	}
	v, namespace, err := s.view(ctx)
	if err != nil {
		return err
	}
	if err := l.checkProject(v); err != nil {
		return err
	}
	selected := l.selectFrom(v, namespace)
	if err := s.printList(l, v, selected); err != nil {
		return err
	}
	if len(selected) == 0 && !l.out.data() {
		s.note("%s", l.none(s.program, namespace))
	}
	if l.watch {
		return s.watchList(ctx, l, selected)
	}
	return nil
}

// checkProject says that a project does not exist rather than list nothing.
func (l *listing) checkProject(v *snapshot.View) error {
	if l.project == "" {
		return nil
	}
	names := ownerNames(v, "project")
	if !slices.Contains(names, l.project) {
		return notFound("there is no project %q%s", l.project, listed(l.project, names, "there are none yet"))
	}
	return nil
}

// none says what was looked for in vain, and where there may be something.
func (l *listing) none(program, namespace string) string {
	switch {
	case len(l.kinds) > 0 || len(l.states) > 0:
		return "no workload is of that kind or status"
	case l.everywhere:
		return "there are no workloads: submit one with " + program + " submit"
	case l.project != "":
		return "project " + l.project + " has no workloads"
	}
	return "no workloads in namespace " + namespace + ": see all with " + program + " list -A"
}

func (l *listing) selectFrom(v *snapshot.View, namespace string) []snapshot.Workload {
	var list []snapshot.Workload
	for _, w := range v.Workloads {
		switch {
		case l.project != "" && w.Project != l.project,
			l.project == "" && !l.everywhere && w.Namespace != namespace,
			len(l.kinds) > 0 && !slices.Contains(l.kinds, string(w.Kind)),
			len(l.states) > 0 && !slices.Contains(l.states, string(w.Status)),
			len(l.states) == 0 && !l.all && w.Status.Done():
			continue
		}
		v.Fill(&w)
		list = append(list, w)
	}
	return list
}

func (s *session) printList(l *listing, v *snapshot.View, list []snapshot.Workload) error {
	switch {
	case l.out.data():
		return s.print(l.out, itemsOf(list))
	case l.out.format == "name":
		for _, w := range list {
			fmt.Fprintln(s.out, w.ID)
		}
		return nil
	case len(list) == 0:
		return nil
	}
	return show.List(s.out, s.palette(s.out), list, show.ListOptions{
		Now: v.Time, Wide: l.out.wide(), Namespaces: l.everywhere || l.project != "", NoHeaders: l.noHeads,
	})
}

// watchList prints the workloads that changed, and those that are gone.
func (s *session) watchList(ctx context.Context, l *listing, shown []snapshot.Workload) error {
	before := fingerprints(shown)
	quiet := *l
	quiet.noHeads = true
	for {
		if err := s.pause(ctx, watchEvery); err != nil {
			return err
		}
		v, namespace, err := s.view(ctx)
		if err != nil {
			return err
		}
		list := l.selectFrom(v, namespace)
		after := fingerprints(list)
		changed := slices.DeleteFunc(list, func(w snapshot.Workload) bool { return before[w.ID] == after[w.ID] })
		if err := s.printList(&quiet, v, changed); err != nil {
			return err
		}
		for _, id := range slices.Sorted(maps.Keys(before)) {
			if _, still := after[id]; !still {
				s.note("%s is gone from the list", id)
			}
		}
		before = after
	}
}

// fingerprints say of each workload what a change of it would change.
func fingerprints(list []snapshot.Workload) map[string]string {
	prints := map[string]string{}
	for _, w := range list {
		nodes := make([]string, 0, len(w.Pods))
		for _, p := range w.Pods {
			nodes = append(nodes, p.Name+"@"+p.Node)
		}
		prints[w.ID] = fmt.Sprint(w.Status, w.Reason, w.Priority, nodes)
	}
	return prints
}
