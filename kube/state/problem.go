package state

import (
	"slices"
	"strings"
)

// Problem is something that the state could not make sense of.
type Problem struct {
	Kind    string // of the object: "Pod", "Job", "Project" …
	ID      string // "namespace/name", or "name"
	Message string // one sentence
}

type problemKey struct{ kind, id string }

// report records what is wrong with an object; nil says that nothing is. It
// returns whether that is new.
func (s *State) report(kind, id string, err error) bool {
	key := problemKey{kind, id}
	before, had := s.problems[key]
	if err == nil {
		delete(s.problems, key)
		return had
	}
	s.problems[key] = err.Error()
	return before != err.Error()
}

// Problems returns what is wrong, in order of kind and name.
func (s *State) Problems() []Problem {
	all := make([]Problem, 0, len(s.problems))
	for key, message := range s.problems {
		all = append(all, Problem{key.kind, key.id, message})
	}
	slices.SortFunc(all, func(a, b Problem) int {
		if c := strings.Compare(a.Kind, b.Kind); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}
