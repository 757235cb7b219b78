// Package tree checks departments and projects against each other: what no
// schema of one object can say. The admission webhook, `weir plan` and the CLI
// refuse with it what does not add up, in the same words.
//
// What it does not do: rules that one object breaks by itself are in its
// schema (package schema); those needed to read it at all are told here too.
package tree

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/sched"
)

// Rule says which rule a problem breaks.
type Rule string

// The rules.
const (
	Malformed         Rule = "Malformed"         // the object contradicts itself
	Duplicate         Rule = "Duplicate"         // two objects of one kind and name
	UnknownDepartment Rule = "UnknownDepartment" // a parent that does not exist
	Cycle             Rule = "Cycle"             // a department above itself
	NamespaceTaken    Rule = "NamespaceTaken"    // one namespace in two projects
	AboveParent       Rule = "AboveParent"       // children are guaranteed more than their parent
)

// Problem is one thing that does not add up.
type Problem struct {
	Object string // "department research"
	Rule   Rule
	v1alpha1.FieldError
}

// String is one sentence that names object, field, value and what would be
// valid.
func (p Problem) String() string { return p.Object + ": " + p.FieldError.Error() }

// Check returns everything that does not add up, in order of object and field.
// Of objects of the same kind and name the first counts.
func Check(departments []v1alpha1.Department, projects []v1alpha1.Project) []Problem {
	c := &checker{
		seen:        map[string]bool{},
		departments: map[string]*member{},
		children:    map[string][]*member{},
	}
	for i := range departments {
		d := &departments[i]
		owner, err := d.Owner()
		if m := c.add("department", d.Name, "spec.parent", d.Spec.Parent, owner, err); m != nil {
			m.shares = d.Spec.Pools
			c.departments[d.Name] = m
		}
	}
	firsts := make([]*v1alpha1.Project, 0, len(projects))
	for i := range projects {
		p := &projects[i]
		owner, err := p.Owner()
		if c.add("project", p.Name, "spec.department", p.Spec.Department, owner, err) != nil {
			firsts = append(firsts, p)
		}
	}
	c.checkParents()
	c.checkCycles()
	c.checkNamespaces(firsts)
	c.checkQuotas()
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Field, b.Field))
	})
	return c.problems
}

// Added returns the problems of after that before did not have: those which a
// change brings. A field that was wrong before may stay wrong, so that an old
// problem does not stand in the way of other changes.
func Added(before, after []Problem) []Problem {
	type key struct {
		object, field string
		rule          Rule
	}
	had := map[key]bool{}
	for _, p := range before {
		had[key{p.Object, p.Field, p.Rule}] = true
	}
	var added []Problem
	for _, p := range after {
		if !had[key{p.Object, p.Field, p.Rule}] {
			added = append(added, p)
		}
	}
	return added
}

// member is a department or project in the tree.
type member struct {
	object string // "department research"
	name   string
	field  string // that names the parent
	parent string
	owner  sched.Owner
	shares []v1alpha1.PoolShare // of departments

	malformed bool // owner is empty
}

type checker struct {
	seen        map[string]bool // by object
	members     []*member
	departments map[string]*member
	children    map[string][]*member // by department
	problems    []Problem
}

func (c *checker) tell(object string, rule Rule, field, value, why, valid string) {
	c.problems = append(c.problems, Problem{object, rule,
		v1alpha1.FieldError{Field: field, Value: value, Why: why, Valid: valid}})
}

// add takes an object in; nil when another of its kind and name is there.
func (c *checker) add(kind, name, field, parent string, owner sched.Owner, err error) *member {
	m := &member{object: kind + " " + name, name: name, field: field, parent: parent, owner: owner}
	if c.seen[m.object] {
		c.tell(m.object, Duplicate, "metadata.name", name, "which another "+kind+" has",
			"give each "+kind+" a name of its own")
		return nil
	}
	c.seen[m.object] = true
	var fieldErr *v1alpha1.FieldError
	if errors.As(err, &fieldErr) {
		c.problems = append(c.problems, Problem{m.object, Malformed, *fieldErr})
		m.malformed = true
	}
	c.members = append(c.members, m)
	if parent != "" {
		c.children[parent] = append(c.children[parent], m)
	}
	return m
}

func (c *checker) checkParents() {
	for _, m := range c.members {
		if m.parent != "" && c.departments[m.parent] == nil {
			c.tell(m.object, UnknownDepartment, m.field, m.parent, "which does not exist",
				c.existing(m)+"create the department "+m.parent+" first, or omit "+m.field)
		}
	}
}

// existing names departments that m may be part of, if there are any.
func (c *checker) existing(m *member) string {
	var names []string
	for name, d := range c.departments {
		if d != m {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "name one of " + list(names) + ", "
}

// list joins names, no more than people want to read.
func list(names []string) string {
	const most = 8
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// checkCycles tells each circle once, at its first department by name.
func (c *checker) checkCycles() {
	for name, d := range c.departments {
		circle := []string{name}
		for at := c.departments[d.parent]; at != nil && len(circle) <= len(c.departments); at = c.departments[at.parent] {
			if at == d {
				circle = append(circle, name)
				c.tell(d.object, Cycle, d.field, d.parent, "which makes the circle "+strings.Join(circle, " → "),
					"name a department outside it, or omit it")
				break
			}
			if at.name < name {
				break // told there, or d is not on the circle
			}
			circle = append(circle, at.name)
		}
	}
}

func (c *checker) checkNamespaces(projects []*v1alpha1.Project) {
	projects = slices.Clone(projects)
	slices.SortFunc(projects, func(a, b *v1alpha1.Project) int { return cmp.Compare(a.Name, b.Name) })
	holder := map[string]string{}
	for _, p := range projects {
		for i, ns := range p.NamespaceNames() {
			other, taken := holder[ns]
			if !taken || other == p.Name {
				holder[ns] = p.Name
				continue
			}
			field, value := fmt.Sprintf("spec.namespaces[%d]", i), ns
			if len(p.Spec.Namespaces) == 0 {
				field, value = "spec.namespaces", "omitted, which stands for "+ns
			}
			c.tell("project "+p.Name, NamespaceTaken, field, value, "which belongs to project "+other,
				"name another namespace, or take it out of project "+other+" first")
		}
	}
}
