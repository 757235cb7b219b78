package workload

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

//go:embed rules/*.yaml
var builtinFiles embed.FS

// Rules is a set of rules, at most one in force for each kind: an object's
// rule goes before a built-in one, and among objects the first by name.
type Rules struct {
	builtin map[schema.GroupKind]*Rule
	added   map[string]*Rule // by name
	inForce map[schema.GroupKind]*Rule
	labels  []*Rule // those by whose label pods join, in order of name
}

// Builtin returns the rules that Weir brings along. Each call returns a set of
// its own.
func Builtin() *Rules {
	rules := &Rules{builtin: builtin(), added: map[string]*Rule{}}
	rules.settle()
	return rules
}

// builtin compiles the embedded rules, once. They are part of the program and
// tested with it, so an error is a bug.
var builtin = sync.OnceValue(func() map[schema.GroupKind]*Rule {
	all := map[schema.GroupKind]*Rule{}
	names, err := fs.Glob(builtinFiles, "rules/*.yaml")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		data, err := builtinFiles.ReadFile(name)
		if err != nil {
			panic(err)
		}
		rules, err := Parse(data)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", name, err))
		}
		for _, r := range rules {
			all[r.GVK.GroupKind()] = r
		}
	}
	return all
})

// Parse reads and compiles the WorkloadRules of a YAML stream.
func Parse(data []byte) ([]*Rule, error) {
	var rules []*Rule
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rules, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		var r v1alpha1.WorkloadRule
		if err := yaml.UnmarshalStrict(doc, &r); err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		rule, err := Compile(&r)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		rules = append(rules, rule)
	}
}

// Set adds a rule, or replaces the one of its name.
func (s *Rules) Set(r *Rule) {
	s.added[r.Name] = r
	s.settle()
}

// Delete removes an added rule and tells whether there was one.
func (s *Rules) Delete(name string) bool {
	_, ok := s.added[name]
	delete(s.added, name)
	s.settle()
	return ok
}

// settle works out which rules are in force.
func (s *Rules) settle() {
	s.inForce = maps.Clone(s.builtin)
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(s.added))) {
		r := s.added[name]
		s.inForce[r.GVK.GroupKind()] = r
	}
	s.labels = nil
	for _, r := range s.inForce {
		if r.NameLabel != "" {
			s.labels = append(s.labels, r)
		}
	}
	slices.SortFunc(s.labels, func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
}

// Added returns the rules that were added, in order of name, in force or not.
func (s *Rules) Added() []*Rule {
	all := make([]*Rule, 0, len(s.added))
	for _, name := range slices.Sorted(maps.Keys(s.added)) {
		all = append(all, s.added[name])
	}
	return all
}

// For returns the rule for objects of a kind, or nil.
func (s *Rules) For(gk schema.GroupKind) *Rule { return s.inForce[gk] }

// Kinds returns the kinds that rules are in force for, pods left out: those
// that a watcher of a cluster has to look at.
func (s *Rules) Kinds() []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	for gk, r := range s.inForce {
		if gk != PodKind {
			kinds = append(kinds, r.GVK)
		}
	}
	slices.SortFunc(kinds, func(a, b schema.GroupVersionKind) int { return strings.Compare(a.String(), b.String()) })
	return kinds
}

// PodKind is the kind of the rule for pods that belong to nothing else.
var PodKind = schema.GroupKind{Kind: "Pod"}

var groupKind = schema.GroupKind{Group: "scheduling.k8s.io", Kind: "PodGroup"}

// Named returns the object that a pod itself names as the one it belongs to,
// by its scheduling group or by a label.
func (s *Rules) Named(pod *corev1.Pod) (Ref, bool) {
	if g := pod.Spec.SchedulingGroup; g != nil && g.PodGroupName != nil && s.inForce[groupKind] != nil {
		return Ref{Group: groupKind.Group, Kind: groupKind.Kind, Namespace: pod.Namespace, Name: *g.PodGroupName}, true
	}
	for _, r := range s.labels {
		if name := pod.Labels[r.NameLabel]; name != "" {
			return Ref{Group: r.GVK.Group, Kind: r.GVK.Kind, Namespace: pod.Namespace, Name: name}, true
		}
	}
	return Ref{}, false
}
