package state

import (
	"cmp"
	"maps"
	"slices"
)

// set is a set of names.
type set[K cmp.Ordered] map[K]struct{}

func (s set[K]) add(k K)    { s[k] = struct{}{} }
func (s set[K]) remove(k K) { delete(s, k) }

// keys returns the members in order.
func (s set[K]) keys() []K { return slices.Sorted(maps.Keys(s)) }

// take returns the members in order and empties the set. A large one is given
// up, as walking over a map takes time by how large it has been.
func take[K cmp.Ordered](s *set[K]) []K {
	if len(*s) == 0 {
		return nil
	}
	keys := s.keys()
	if len(keys) > 64 {
		*s = set[K]{}
	} else {
		clear(*s)
	}
	return keys
}

// link adds v to the set at k.
func link[K, V cmp.Ordered](index map[K]set[V], k K, v V) {
	if index[k] == nil {
		index[k] = set[V]{}
	}
	index[k].add(v)
}

// unlink removes v from the set at k.
func unlink[K, V cmp.Ordered](index map[K]set[V], k K, v V) {
	index[k].remove(v)
	if len(index[k]) == 0 {
		delete(index, k)
	}
}
