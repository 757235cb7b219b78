package state

import (
	"maps"
	"slices"
	"strings"

	"github.com/weir-gpu/weir/kube/ask"
	"github.com/weir-gpu/weir/sched"
)

// models knows which models of devices there are, so that what people write
// ("A100") can be told to the engine as the full names that nodes report.
type models struct {
	nodes map[string]int         // nodes that have the model
	users map[string]set[string] // pods, by the names that they wrote
	exact map[string][]string    // what written names stand for, until a model comes or goes
}

func newModels() models {
	return models{nodes: map[string]int{}, users: map[string]set[string]{}, exact: map[string][]string{}}
}

// count takes a node's old devices off and adds its new ones. When a model
// came or went, pods that name models are looked at again.
func (m *models) count(s *State, before, after []sched.Device) {
	changed := false
	for model := range modelsOf(before) {
		if m.nodes[model]--; m.nodes[model] == 0 {
			delete(m.nodes, model)
			changed = true
		}
	}
	for model := range modelsOf(after) {
		if m.nodes[model]++; m.nodes[model] == 1 {
			changed = true
		}
	}
	if !changed {
		return
	}
	clear(m.exact)
	for _, users := range m.users {
		for id := range users {
			s.dirty.pods.add(id)
		}
	}
}

func modelsOf(devices []sched.Device) set[string] {
	all := set[string]{}
	for _, d := range devices {
		all.add(d.Model)
	}
	return all
}

// resolve returns the models that a pod allows as nodes name them. Names that
// no node matches are left as they are written.
func (m *models) resolve(written []string) []string {
	if len(written) == 0 {
		return nil
	}
	key := strings.Join(written, ",")
	if all, ok := m.exact[key]; ok {
		return all
	}
	all := set[string]{}
	for _, w := range written {
		found := false
		for model := range maps.Keys(m.nodes) {
			if ask.ModelMatches(w, model) {
				all.add(model)
				found = true
			}
		}
		if !found {
			all.add(w)
		}
	}
	m.exact[key] = slices.Clip(all.keys())
	return m.exact[key]
}

// follow notes that a pod wrote these names.
func (m *models) follow(p *pod, id string, written []string) {
	key := strings.Join(written, ",")
	if key == p.models {
		return
	}
	if p.models != "" {
		unlink(m.users, p.models, id)
	}
	if key != "" {
		link(m.users, key, id)
	}
	p.models = key
}
