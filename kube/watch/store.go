package watch

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

// store takes what a reflector learns of one kind. Only the reflector's
// goroutine calls it.
type store struct {
	feed    *Feed
	source  string
	objects map[string]runtime.Object
}

func (s *store) Add(obj any) error { return s.Update(obj) }

func (s *store) Update(obj any) error {
	key, o, err := keyed(obj)
	if err != nil {
		return err
	}
	change := s.replace(key, o)
	s.feed.push(change...)
	return nil
}

func (s *store) Delete(obj any) error {
	key, o, err := keyed(obj)
	if err != nil {
		return err
	}
	delete(s.objects, key)
	s.feed.push(Change{Object: o, Gone: true})
	return nil
}

// Replace takes a whole list, which comes first and after a watch that could
// not go on.
func (s *store) Replace(list []any, _ string) error {
	listed := make(map[string]struct{}, len(list))
	changes := make([]Change, 0, len(list))
	for _, obj := range list {
		key, o, err := keyed(obj)
		if err != nil {
			return err
		}
		listed[key] = struct{}{}
		changes = append(changes, s.replace(key, o)...)
	}
	for key, o := range s.objects {
		if _, ok := listed[key]; !ok {
			delete(s.objects, key)
			changes = append(changes, Change{Object: o, Gone: true})
		}
	}
	s.feed.push(changes...)
	s.feed.listed(s.source)
	return nil
}

func (s *store) Resync() error { return nil }

// replace stores an object and returns what that changes. An object that was
// deleted and made again while nobody watched is two changes.
func (s *store) replace(key string, o runtime.Object) []Change {
	old := s.objects[key]
	s.objects[key] = o
	if old == nil {
		return []Change{{Object: o}}
	}
	was, _ := meta.Accessor(old)
	is, _ := meta.Accessor(o)
	switch {
	case was.GetUID() != is.GetUID():
		return []Change{{Object: old, Gone: true}, {Object: o}}
	case was.GetResourceVersion() == is.GetResourceVersion() && is.GetResourceVersion() != "":
		return nil
	}
	return []Change{{Object: o}}
}

func keyed(obj any) (string, runtime.Object, error) {
	o, ok := obj.(runtime.Object)
	if !ok {
		return "", nil, fmt.Errorf("the API server sent a %T, which is no object", obj)
	}
	m, err := meta.Accessor(o)
	if err != nil {
		return "", nil, fmt.Errorf("the API server sent a %T without metadata: %w", obj, err)
	}
	trim(o, m)
	return m.GetNamespace() + "/" + m.GetName(), o, nil
}
