package v1alpha1

import "strings"

// FieldError is one thing that is wrong with an object: in which field, with
// which value, why, and what would be valid.
type FieldError struct {
	Field string // "spec.pools[0].quota.gpu"
	Value string // as it was written
	Why   string // "above limit.gpu"; may be empty where Valid says it all
	Valid string // "write at most 8, or raise or omit limit.gpu"
}

// Error is one sentence: the field is the value, why: what would be valid.
func (e *FieldError) Error() string {
	var b strings.Builder
	b.WriteString(e.Field + " is " + e.Value)
	if e.Why != "" {
		b.WriteString(", " + e.Why)
	}
	b.WriteString(": " + e.Valid)
	return b.String()
}

// under puts the field below a path.
func (e *FieldError) under(path string) *FieldError {
	below := *e
	below.Field = path + "." + e.Field
	return &below
}
