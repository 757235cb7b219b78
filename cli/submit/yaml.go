package submit

import (
	"encoding/json"

	"sigs.k8s.io/yaml"
)

// Plain returns the object as people would write it: without the empty fields
// that Go's types always print.
func Plain(obj Object) (map[string]any, error) {
	raw, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	delete(m, "status")
	return prune(m).(map[string]any), nil
}

// YAML returns the object as YAML that kubectl apply takes.
func YAML(obj Object) ([]byte, error) {
	m, err := Plain(obj)
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(m)
}

// prune drops nulls and empty objects, at any depth.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			x = prune(x)
			if m, ok := x.(map[string]any); x == nil || ok && len(m) == 0 {
				delete(v, k)
				continue
			}
			v[k] = x
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}
