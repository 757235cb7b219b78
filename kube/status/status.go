// Package status says, in the status of Departments, Projects, NodePools and
// WorkloadRules, what they have in use and whether they are in force.
//
// A [Board] compares what is to be said with what the API says already and
// returns only differences. It writes nothing itself and knows no clock but
// the one it is told.
package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/sched"
)

// Patch is a JSON patch that replaces the status of one object.
type Patch struct {
	Resource string // "projects"
	Name     string
	Body     []byte
}

// Facts is what there is to say.
type Facts struct {
	Uses     []sched.Use // in order of pool and owner
	Pools    map[string]Pool
	Rules    map[string]Rule   // by name
	Problems map[string]string // by "Kind/name": why an object is not in force
	Notes    map[string]string // by "Kind/name": what is odd about one that is
}

// Rule is how a rule fares.
type Rule struct {
	Workloads int32
	Ahead     string // the rule for the same kind that goes before it; or ""
}

// Pool is what a node pool has.
type Pool struct {
	Nodes    int32
	Capacity sched.Amount
	Granted  sched.Amount
}

// patience is how long the API may take to show what was sent.
const patience = 30 * time.Second

// Board holds the objects as the API last said. It is not safe for concurrent
// use.
type Board struct {
	departments map[string]*v1alpha1.Department
	projects    map[string]*v1alpha1.Project
	pools       map[string]*v1alpha1.NodePool
	rules       map[string]*v1alpha1.WorkloadRule
	sent        map[string]sent
}

// sent is a status that the API does not show yet.
type sent struct {
	body       string
	conditions []metav1.Condition
	at         time.Time
}

// NewBoard returns a board without objects.
func NewBoard() *Board {
	return &Board{
		departments: map[string]*v1alpha1.Department{},
		projects:    map[string]*v1alpha1.Project{},
		pools:       map[string]*v1alpha1.NodePool{},
		rules:       map[string]*v1alpha1.WorkloadRule{},
		sent:        map[string]sent{},
	}
}

// Set takes in an object as it is now; other kinds are ignored.
func (b *Board) Set(obj any) {
	switch o := obj.(type) {
	case *v1alpha1.Department:
		b.departments[o.Name] = o
	case *v1alpha1.Project:
		b.projects[o.Name] = o
	case *v1alpha1.NodePool:
		b.pools[o.Name] = o
	case *v1alpha1.WorkloadRule:
		b.rules[o.Name] = o
	}
}

// Delete drops an object.
func (b *Board) Delete(obj any) {
	switch o := obj.(type) {
	case *v1alpha1.Department:
		delete(b.departments, o.Name)
		delete(b.sent, "departments/"+o.Name)
	case *v1alpha1.Project:
		delete(b.projects, o.Name)
		delete(b.sent, "projects/"+o.Name)
	case *v1alpha1.NodePool:
		delete(b.pools, o.Name)
		delete(b.sent, "nodepools/"+o.Name)
	case *v1alpha1.WorkloadRule:
		delete(b.rules, o.Name)
		delete(b.sent, "workloadrules/"+o.Name)
	}
}

// Unsent takes note that a patch did not reach the API.
func (b *Board) Unsent(p Patch) { delete(b.sent, p.Resource+"/"+p.Name) }

// Differences returns what has to be written, in order of kind and name.
func (b *Board) Differences(f Facts, now time.Time) ([]Patch, error) {
	r := review{board: b, facts: f, now: now, uses: map[string][]sched.Use{}}
	for _, u := range f.Uses {
		r.uses[u.Owner] = append(r.uses[u.Owner], u)
	}
	var errs []error
	for _, name := range names(b.departments) {
		d := b.departments[name]
		errs = append(errs, r.owner("Department", "departments", v1alpha1.DepartmentOwner(name), d, &d.Status))
	}
	for _, name := range names(b.projects) {
		p := b.projects[name]
		errs = append(errs, r.owner("Project", "projects", v1alpha1.ProjectOwner(name), p, &p.Status))
	}
	for _, name := range names(b.pools) {
		errs = append(errs, r.pool(b.pools[name]))
	}
	for _, name := range names(b.rules) {
		errs = append(errs, r.rule(b.rules[name]))
	}
	return r.patches, errors.Join(errs...)
}

// review is one comparison of all objects.
type review struct {
	board   *Board
	facts   Facts
	now     time.Time
	uses    map[string][]sched.Use
	patches []Patch
}

func (r *review) owner(kind, resource, owner string, o metav1.Object, old *v1alpha1.OwnerStatus) error {
	next := v1alpha1.OwnerStatus{ObservedGeneration: o.GetGeneration()}
	next.Total, next.Pools = v1alpha1.UsesOf(r.uses[owner])
	next.Conditions = r.conditions(kind, resource, o, old.Conditions)
	return r.add(resource, o.GetName(), *old, next, next.Conditions)
}

func (r *review) pool(p *v1alpha1.NodePool) error {
	has := r.facts.Pools[p.Name]
	next := v1alpha1.NodePoolStatus{
		ObservedGeneration: p.Generation,
		Conditions:         r.conditions("NodePool", "nodepools", p, p.Status.Conditions),
		Nodes:              has.Nodes,
		Capacity:           v1alpha1.FiguresOf(has.Capacity),
		Granted:            v1alpha1.FiguresOf(has.Granted),
	}
	return r.add("nodepools", p.Name, p.Status, next, next.Conditions)
}

func (r *review) rule(o *v1alpha1.WorkloadRule) error {
	use := r.facts.Rules[o.Name]
	next := v1alpha1.WorkloadRuleStatus{
		ObservedGeneration: o.Generation,
		Conditions:         r.conditions("WorkloadRule", "workloadrules", o, o.Status.Conditions),
		Workloads:          use.Workloads,
	}
	return r.add("workloadrules", o.Name, o.Status, next, next.Conditions)
}

// add adds the patch from one status to the next, unless there is none or it
// was sent a moment ago.
func (r *review) add(resource, name string, old, next any, conditions []metav1.Condition) error {
	key := resource + "/" + name
	if equality.Semantic.DeepEqual(old, next) {
		delete(r.board.sent, key)
		return nil
	}
	body, err := json.Marshal([]any{map[string]any{"op": "add", "path": "/status", "value": next}})
	if err != nil {
		return fmt.Errorf("writing the status of %s: %w", key, err)
	}
	if s, ok := r.board.sent[key]; ok && s.body == string(body) && r.now.Sub(s.at) < patience {
		return nil
	}
	r.board.sent[key] = sent{string(body), conditions, r.now}
	r.patches = append(r.patches, Patch{Resource: resource, Name: name, Body: body})
	return nil
}

// conditions carries the last conditions on, so that their times say when they
// came to be as they are.
func (r *review) conditions(kind, resource string, o metav1.Object, old []metav1.Condition) []metav1.Condition {
	if s, ok := r.board.sent[resource+"/"+o.GetName()]; ok {
		old = s.conditions
	}
	next := slices.Clone(old)
	key := kind + "/" + o.GetName()
	ready := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: o.GetGeneration(),
		Reason: v1alpha1.ReasonAccepted, Message: "in force",
		LastTransitionTime: metav1.NewTime(r.now.Truncate(time.Second)), // as the API keeps it
	}
	if note := r.facts.Notes[key]; note != "" {
		ready.Message += "; " + note
	}
	reason, problem := v1alpha1.ReasonInvalid, r.facts.Problems[key]
	if ahead := r.facts.Rules[o.GetName()].Ahead; problem == "" && kind == "WorkloadRule" && ahead != "" {
		reason, problem = v1alpha1.ReasonShadowed, "rule "+ahead+" is for the same kind and comes first by name; "+
			"delete one of the two"
	}
	if problem == "" {
		meta.RemoveStatusCondition(&next, v1alpha1.ConditionStalled)
		meta.SetStatusCondition(&next, ready)
		return next
	}
	ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, reason, problem
	stalled := ready
	stalled.Type, stalled.Status = v1alpha1.ConditionStalled, metav1.ConditionTrue
	meta.SetStatusCondition(&next, ready)
	meta.SetStatusCondition(&next, stalled)
	return next
}

func names[T any](m map[string]T) []string {
	all := make([]string, 0, len(m))
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
