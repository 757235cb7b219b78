package workload

import (
	"fmt"
	"math"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/sched"
)

// GroupAnnotation names, on a pod, the gang inside its object that the pod is
// part of. It is for pods that lack what their kind's rule looks at, such as
// those that [Rule.Expand] makes up.
const GroupAnnotation = "weir.dev/group"

// Rule is a compiled WorkloadRule.
type Rule struct {
	Name        string
	GVK         schema.GroupVersionKind
	NameLabel   string
	Kind        sched.Kind
	Preemptible *bool // nil: as is usual for Kind

	priority, suspended, group, groups, min expression
	sets                                    []podSet
}

type podSet struct {
	name            string
	count, template expression
}

// Facts is what a rule reads from one object.
type Facts struct {
	Min           int    // pods that have to run for any to run, at least 1
	Priority      *int32 // nil: the object says none
	PriorityClass string // "": the object names none
	Suspended     bool
}

// Compile reads a rule. Its errors name the rule, the field and what would be
// valid there.
func Compile(r *v1alpha1.WorkloadRule) (*Rule, error) {
	spec := &r.Spec
	gv, err := schema.ParseGroupVersion(spec.Object.APIVersion)
	if err != nil || gv.Version == "" || spec.Object.Kind == "" {
		return nil, fmt.Errorf("rule %s: spec.object %q %q names no kind; write apiVersion and kind as they stand in "+
			"the objects, such as batch/v1 and Job", r.Name, spec.Object.APIVersion, spec.Object.Kind)
	}
	rule := &Rule{
		Name:        r.Name,
		GVK:         gv.WithKind(spec.Object.Kind),
		NameLabel:   spec.NameLabel,
		Preemptible: spec.Preemptible,
	}
	switch k := sched.Kind(spec.WorkloadKind); k {
	case sched.Build, sched.Train, sched.Infer:
		rule.Kind = k
	case "":
		rule.Kind = sched.Train
	default:
		return nil, fmt.Errorf("rule %s: spec.workloadKind %q is no kind of workload; write build, train or infer",
			r.Name, spec.WorkloadKind)
	}
	for _, f := range []struct {
		into  *expression
		field string
		text  v1alpha1.Expression
		gives []*cel.Type
	}{
		{&rule.priority, "spec.priority", spec.Priority, []*cel.Type{cel.IntType, cel.StringType}},
		{&rule.suspended, "spec.suspended", spec.Suspended, []*cel.Type{cel.BoolType}},
		{&rule.group, "spec.group", spec.Group, []*cel.Type{cel.StringType, cel.IntType}},
		{&rule.groups, "spec.groups", spec.Groups, []*cel.Type{cel.IntType}},
		{&rule.min, "spec.min", spec.Min, []*cel.Type{cel.IntType}},
	} {
		if *f.into, err = compile(r.Name, f.field, f.text, f.gives...); err != nil {
			return nil, err
		}
	}
	for i, s := range spec.Pods {
		set := podSet{name: s.Name}
		field := fmt.Sprintf("spec.pods[%d]", i)
		if set.count, err = compile(r.Name, field+".count", s.Count, cel.IntType, cel.ListType(cel.IntType)); err != nil {
			return nil, err
		}
		set.template, err = compile(r.Name, field+".template", s.Template,
			cel.MapType(cel.StringType, cel.DynType), cel.ListType(cel.DynType))
		if err != nil {
			return nil, err
		}
		rule.sets = append(rule.sets, set)
	}
	return rule, nil
}

// Facts reads an object of the rule's kind.
func (r *Rule) Facts(obj map[string]any) (Facts, error) {
	f := Facts{Min: 1}
	vars := map[string]any{"object": obj}
	var err error
	if r.suspended.program != nil {
		if f.Suspended, err = r.suspended.truth(vars); err != nil {
			return Facts{}, err
		}
	}
	if err := r.readPriority(vars, &f); err != nil {
		return Facts{}, err
	}
	low, err := r.readMin(vars)
	if err != nil {
		return Facts{}, err
	}
	if low > math.MaxInt32 {
		return Facts{}, r.min.fail("gives %d pods; write at most %d", low, math.MaxInt32)
	}
	f.Min = max(1, int(low))
	return f, nil
}

func (r *Rule) readMin(vars map[string]any) (int64, error) {
	if r.min.program != nil {
		return r.min.number(vars)
	}
	var all int64
	for _, s := range r.sets {
		counts, err := s.counts(vars)
		if err != nil {
			return 0, err
		}
		for _, n := range counts {
			all += n
		}
	}
	return all, nil
}

// readPriority reads a number or the name of a class.
func (r *Rule) readPriority(vars map[string]any, f *Facts) error {
	if r.priority.program == nil {
		return nil
	}
	v, err := r.priority.eval(vars)
	if err != nil {
		return err
	}
	if name, ok := v.(types.String); ok {
		f.PriorityClass = string(name)
		return nil
	}
	n, err := r.priority.asNumber(v)
	if err != nil {
		return err
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return r.priority.fail("gives %d; it has to fit 32 bits", n)
	}
	p := int32(n)
	f.Priority = &p
	return nil
}

// GroupOf names the gang inside its object that a pod is part of; it is ""
// where the object is one gang.
func (r *Rule) GroupOf(pod *corev1.Pod) (string, error) {
	if name := pod.Annotations[GroupAnnotation]; name != "" || r.group.program == nil {
		return name, nil
	}
	u, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pod)
	if err != nil {
		return "", r.group.fail("cannot read pod %s/%s: %v", pod.Namespace, pod.Name, err)
	}
	return r.group.word(map[string]any{"pod": u})
}

// counts returns the number of pods for each template of the set.
func (s podSet) counts(vars map[string]any) ([]int64, error) {
	if s.count.program == nil {
		return []int64{1}, nil
	}
	values, err := s.count.several(vars)
	if err != nil {
		return nil, err
	}
	counts := make([]int64, len(values))
	for i, v := range values {
		if counts[i], err = s.count.asNumber(v); err != nil {
			return nil, err
		}
	}
	return counts, nil
}
