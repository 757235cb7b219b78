package past

import (
	"cmp"
	"slices"
	"strings"
)

// Run is work that was done.
type Run struct {
	Kind
	Took  int64 // GPU time (ms)
	Ended int64 // when (ms)
}

// Seen knows what a [Past] knows that was told of the same runs in the order in
// which they ended. But it depends on the runs alone, not on when they were
// shown: whoever is shown them again knows the same. It keeps them all.
//
// The zero value has seen nothing.
type Seen struct {
	runs   []named // in order of their ends
	byName map[string]Run
}

type named struct {
	Run
	name string
}

func namedCmp(a, b named) int {
	return cmp.Or(cmp.Compare(a.Ended, b.Ended), strings.Compare(a.name, b.name))
}

// Show tells of a run, which goes by that name, and reports whether that is
// news.
func (s *Seen) Show(name string, r Run) bool {
	if old, ok := s.byName[name]; ok && old == r {
		return false
	}
	s.Forget(name)
	if s.byName == nil {
		s.byName = map[string]Run{}
	}
	s.byName[name] = r
	at, _ := slices.BinarySearchFunc(s.runs, named{r, name}, namedCmp)
	s.runs = slices.Insert(s.runs, at, named{r, name})
	return true
}

// Forget takes back what was shown under that name, and reports whether
// anything was.
func (s *Seen) Forget(name string) bool {
	old, ok := s.byName[name]
	if !ok {
		return false
	}
	delete(s.byName, name)
	at, _ := slices.BinarySearchFunc(s.runs, named{old, name}, namedCmp)
	s.runs = slices.Delete(s.runs, at, at+1)
	return true
}

// Empty reports whether nothing is shown.
func (s *Seen) Empty() bool { return len(s.runs) == 0 }

// Expected is [Past.Expected].
func (s *Seen) Expected(k Kind) int64 {
	for _, like := range k.likes() {
		if took := s.latest(like); len(took) >= enough {
			return median(took)
		}
	}
	return 0
}

// latest returns what the last runs like that took.
func (s *Seen) latest(like Kind) []int64 {
	var took []int64
	for i := len(s.runs) - 1; i >= 0 && len(took) < remembered; i-- {
		if r := &s.runs[i]; like == r.Kind || like == (Kind{r.Owner, r.GPUs, ""}) || like == (Kind{Owner: r.Owner}) {
			took = append(took, max(s.runs[i].Took, 1))
		}
	}
	return took
}
