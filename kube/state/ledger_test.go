package state

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/sched"
)

// objects reads a stream of YAML documents.
func objects(t fataler, text string) []any {
	t.Helper()
	types := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(types), v1alpha1.AddToScheme(types)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(types).UniversalDeserializer()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	var all []any
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		data, err := yaml.YAMLToJSON(doc)
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		obj, _, err := decoder.Decode(data, nil, nil)
		if runtime.IsNotRegisteredError(err) {
			u := &unstructured.Unstructured{}
			err = u.UnmarshalJSON(data)
			obj = u
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		all = append(all, obj)
	}
}

// fataler is a test, of testing or of rapid.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// ledger is what an engine would know after the events that it was told. It
// checks that events come in an order that makes sense.
type ledger struct {
	t         fataler
	pools     map[string]sched.Pool
	owners    map[string]sched.Owner
	nodes     map[string]sched.Node
	workloads map[string]sched.Workload
	pods      map[string]*entry
	occupied  map[string]sched.Occupied
	events    int
	engine    *sched.Engine // is told the same
}

type entry struct {
	workload string
	ask      sched.Ask
	granted  *sched.PodGranted
	leaving  bool
}

func newLedger(t fataler) *ledger {
	return &ledger{
		t: t, pools: map[string]sched.Pool{}, owners: map[string]sched.Owner{}, nodes: map[string]sched.Node{},
		workloads: map[string]sched.Workload{}, pods: map[string]*entry{}, occupied: map[string]sched.Occupied{},
		engine: sched.New(sched.Config{}),
	}
}

func (l *ledger) apply(events []sched.Event) {
	l.t.Helper()
	for _, ev := range events {
		l.events++
		l.applyOne(ev)
		if err := l.engine.Apply(ev); err != nil {
			l.t.Fatalf("the engine refuses %T: %v", ev, err)
		}
	}
	for id, p := range l.pods {
		if _, ok := l.workloads[p.workload]; !ok {
			l.t.Fatalf("pod %s is known but its workload %s is not", id, p.workload)
		}
	}
}

func (l *ledger) applyOne(ev sched.Event) {
	l.t.Helper()
	known := func(what, name string, ok bool) {
		if !ok {
			l.t.Fatalf("%T of %s %q, which is not known", ev, what, name)
		}
	}
	switch ev := ev.(type) {
	case sched.PoolSet:
		l.pools[ev.Pool.Name] = ev.Pool
	case sched.PoolGone:
		drop(known, "pool", l.pools, ev.Name)
	case sched.OwnerSet:
		if ev.Owner.Parent != "" {
			_, ok := l.owners[ev.Owner.Parent]
			known("parent", ev.Owner.Parent, ok)
		}
		l.owners[ev.Owner.Name] = ev.Owner
	case sched.OwnerGone:
		drop(known, "owner", l.owners, ev.Name)
	case sched.NodeSet:
		l.nodes[ev.Node.Name] = ev.Node
	case sched.NodeGone:
		drop(known, "node", l.nodes, ev.Name)
	case sched.WorkloadSet:
		l.workloads[ev.Workload.ID] = ev.Workload
	case sched.WorkloadGone:
		drop(known, "workload", l.workloads, ev.ID)
	case sched.PodSet:
		_, ok := l.workloads[ev.Workload]
		known("workload", ev.Workload, ok)
		p := l.pods[ev.Pod.ID]
		if p == nil {
			p = &entry{}
			l.pods[ev.Pod.ID] = p
		} else if p.workload != ev.Workload {
			l.t.Fatalf("pod %s moves from %s to %s", ev.Pod.ID, p.workload, ev.Workload)
		}
		p.workload, p.ask = ev.Workload, ev.Pod.Ask
	case sched.PodGone:
		drop(known, "pod", l.pods, ev.ID)
	case sched.PodGranted:
		p := l.pods[ev.ID]
		known("pod", ev.ID, p != nil)
		if p.granted != nil && !reflect.DeepEqual(p.granted.Grant, ev.Grant) {
			p.leaving = false // to the engine it starts there
		}
		p.granted = &ev
	case sched.PodLeaving:
		p := l.pods[ev.ID]
		known("pod", ev.ID, p != nil && p.granted != nil)
		p.leaving = true
	case sched.Occupied:
		l.occupied[ev.ID] = ev
	case sched.Vacated:
		drop(known, "occupation", l.occupied, ev.ID)
	default:
		l.t.Fatalf("unexpected %T", ev)
	}
}

func drop[V any](known func(string, string, bool), what string, all map[string]V, name string) {
	_, ok := all[name]
	known(what, name, ok)
	delete(all, name)
}

// String writes down everything that is known, in order.
func (l *ledger) String() string {
	var b strings.Builder
	section(&b, "pool", l.pools, func(p sched.Pool) string { return fmt.Sprintf("%+v", p) })
	section(&b, "owner", l.owners, func(o sched.Owner) string { return fmt.Sprintf("%+v", o) })
	section(&b, "node", l.nodes, func(n sched.Node) string { return fmt.Sprintf("%+v", n) })
	section(&b, "workload", l.workloads, func(w sched.Workload) string { return fmt.Sprintf("%+v", w) })
	section(&b, "pod", l.pods, func(p *entry) string {
		text := fmt.Sprintf("%s %+v", p.workload, p.ask)
		if p.granted != nil {
			text += fmt.Sprintf(" granted %+v since %d leaving %t", p.granted.Grant, p.granted.Since, p.leaving)
		}
		return text
	})
	section(&b, "occupied", l.occupied, func(o sched.Occupied) string { return fmt.Sprintf("%+v", o) })
	return b.String()
}

// verdict writes down what the engine makes of it all.
func (l *ledger) verdict(s *State) string {
	var b strings.Builder
	write := func(what string, v any) { fmt.Fprintf(&b, "%s: %+v\n", what, v) }
	for _, u := range l.engine.Usage() {
		if u.Running+u.Waiting > 0 || u.Quota.GPU > 0 { // pools that were deleted may be listed still
			write("use", u)
		}
	}
	for range 100 {
		for _, d := range l.engine.Decide(1_767_268_800_000) {
			write("decision", d)
		}
		if !l.engine.More() {
			break
		}
	}
	for _, p := range l.engine.Promises() {
		write("promise", p)
	}
	write("waiting", l.engine.Waiting())
	for _, id := range s.Workloads() {
		ex, _ := l.engine.Explain(id)
		write(id, ex)
	}
	return b.String()
}

func section[V any](b *strings.Builder, what string, all map[string]V, write func(V) string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(b, "%s %s: %s\n", what, name, write(all[name]))
	}
}

// tellAll feeds all objects to a new state and its events to a new ledger.
func tellAll(t fataler, objects []any) (*State, *ledger) {
	t.Helper()
	s, l := New(Config{}), newLedger(t)
	for _, o := range objects {
		l.apply(s.Set(o))
	}
	return s, l
}
