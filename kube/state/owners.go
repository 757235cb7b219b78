package state

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/weir-gpu/weir/api/v1alpha1"
	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// owner is a Department or a Project.
type owner struct {
	kind, id   string      // for problems: "Project", "nlp"
	spec       sched.Owner // with its parent
	err        error       // why spec cannot be used
	namespaces []string    // of projects
	told       *sched.Owner
}

// description is what of an object makes an owner.
type description struct {
	kind, id   string
	parent     string
	owner      func() (sched.Owner, error)
	namespaces []string
}

func departmentName(name string) string { return v1alpha1.DepartmentOwner(name) }
func projectName(name string) string    { return v1alpha1.ProjectOwner(name) }

func departmentOwner(d *v1alpha1.Department) *description {
	return &description{kind: "Department", id: d.Name, parent: d.Spec.Parent, owner: d.Owner}
}

func projectOwner(p *v1alpha1.Project) *description {
	return &description{
		kind: "Project", id: p.Name, parent: p.Spec.Department, owner: p.Owner, namespaces: p.NamespaceNames(),
	}
}

// setOwner takes in a department or project, or drops it when d is nil.
func (s *State) setOwner(name string, d *description) {
	old := s.owners[name]
	if old == nil && d == nil {
		return
	}
	next := &owner{}
	if d != nil {
		next.kind, next.id, next.namespaces = d.kind, d.id, d.namespaces
		next.spec, next.err = d.owner()
		if next.err == nil && next.spec.Parent != "" {
			link(s.byDept, next.spec.Parent, name)
		}
	}
	if old != nil {
		next.told = old.told
		if old.err == nil && old.spec.Parent != "" && old.spec.Parent != next.spec.Parent {
			unlink(s.byDept, old.spec.Parent, name)
		}
		if d == nil {
			next.kind, next.id = old.kind, old.id
			next.err = errGone
		}
		s.moveNamespaces(old.id, old.namespaces, next.namespaces)
	} else {
		s.moveNamespaces(next.id, nil, next.namespaces)
	}
	s.owners[name] = next
	s.dirty.owners.add(name)
	if next.learns() != (old != nil && old.learns()) {
		for id, g := range s.groups {
			if projectName(g.project) == name {
				s.dirty.groups.add(id)
			}
		}
	}
}

// learns reports whether it matters to an owner how long work ran.
func (o *owner) learns() bool { return o.spec.Discipline == sched.Shortest }

// errGone marks an owner whose object was deleted.
var errGone = errors.New("was deleted")

// moveNamespaces takes namespaces from a project and gives it others.
func (s *State) moveNamespaces(project string, old, next []string) {
	for _, ns := range old {
		n := s.namespace(ns)
		n.projects.remove(project)
		s.touchNamespace(n)
	}
	for _, ns := range next {
		n := s.namespace(ns)
		n.projects.add(project)
		s.touchNamespace(n)
	}
}

// deriveOwners tells of the owners that are dirty, parents first. An owner is
// told only while everything above it is.
func (s *State) deriveOwners(d *difference) {
	dirty := take(&s.dirty.owners)
	for len(dirty) > 0 {
		var next []string
		for _, name := range dirty {
			if s.deriveOwner(name, d) {
				next = append(next, s.byDept[name].keys()...)
			}
		}
		dirty = next
	}
}

// deriveOwner reports whether the owner can be used where it could not, or the
// other way round, so that those under it have to be looked at.
func (s *State) deriveOwner(name string, d *difference) bool {
	o := s.owners[name]
	if o == nil {
		return false
	}
	err := o.err
	if err == nil {
		err = s.checkAbove(name)
	}
	changed := false
	if o.err == errGone {
		s.report(o.kind, o.id, nil)
		delete(s.owners, name)
		changed = true
	} else {
		changed = s.report(o.kind, o.id, err)
	}
	switch {
	case err != nil && o.told != nil:
		o.told = nil
		d.groundsGone = append(d.groundsGone, sched.OwnerGone{Name: name})
		return true
	case err == nil && (o.told == nil || !reflect.DeepEqual(*o.told, o.spec)):
		changed = changed || o.told == nil
		spec := o.spec
		o.told = &spec
		d.grounds = append(d.grounds, sched.OwnerSet{Owner: spec})
	}
	return changed
}

// checkAbove checks that everything above an owner is there, with no circle.
func (s *State) checkAbove(name string) error {
	o := s.owners[name]
	for at, steps := o.spec.Parent, 0; at != ""; steps++ {
		above := s.owners[at]
		switch {
		case above == nil || above.err == errGone:
			return fmt.Errorf("spec names %s, which does not exist; create it, or name another", at)
		case above.err != nil:
			return fmt.Errorf("%s above it cannot be used: %w", at, above.err)
		case at == name:
			return fmt.Errorf("%s is above itself; name a department outside the circle", at)
		case steps > len(s.owners):
			return fmt.Errorf("%s above it leads into a circle; name a department outside it", o.spec.Parent)
		}
		at = above.spec.Parent
	}
	return nil
}

// namespace is what is known of one.
type namespace struct {
	label    string      // the project that the namespace's own label names
	projects set[string] // those that name the namespace
	pods     set[string]
	groups   set[string]
	budgets  map[string]budget
}

func (s *State) namespace(name string) *namespace {
	n := s.namespaces[name]
	if n == nil {
		n = &namespace{projects: set[string]{}, pods: set[string]{}, groups: set[string]{}, budgets: map[string]budget{}}
		s.namespaces[name] = n
	}
	return n
}

func (s *State) setNamespace(name, label string) {
	if n := s.namespace(name); n.label != label {
		n.label = label
		s.touchNamespace(n)
	}
}

// touchNamespace marks everything whose project may have changed.
func (s *State) touchNamespace(n *namespace) {
	for id := range n.groups {
		s.dirty.groups.add(id)
	}
	for id := range n.pods {
		if p := s.pods[id]; p != nil && p.obj != nil && ended(p.obj) { // its project learned from it
			s.dirty.pods.add(id)
		}
	}
}

// project returns the project of a namespace's pods, or "". The namespace's
// own label wins over the projects that name the namespace, of which the
// first by name counts.
func (n *namespace) project() string {
	if n.label != "" || len(n.projects) == 0 {
		return n.label
	}
	return n.projects.keys()[0]
}

// ProjectOf returns the project whose namespace it is, or "".
func (s *State) ProjectOf(namespace string) string {
	if n := s.namespaces[namespace]; n != nil {
		return n.project()
	}
	return ""
}

// errNoProject says how to get a project.
func errNoProject(namespace string) error {
	return fmt.Errorf("namespace %s belongs to no project; name it in spec.namespaces of a Project, or label the "+
		"pod or the namespace with %s", namespace, ask.Project)
}
