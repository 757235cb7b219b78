package ask

import (
	"errors"
	"fmt"
)

// Error says what is wrong with a word or a field, and what would be valid, in
// one sentence.
type Error struct {
	Field string // "weir.dev/gpu-fraction", "spec.resourceClaims[0]"
	Value string
	Wrong string // "is more than one GPU"
	Valid string // "write a decimal above 0 and at most 1"
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %q %s; %s", e.Field, e.Value, e.Wrong, e.Valid)
}

// ErrMissing is wrapped by errors about an object that a pod refers to and
// that does not exist yet. What exists later may make the pod readable.
var ErrMissing = errors.New("does not exist")

// missing returns an error for a claim or template that is not there.
func missing(kind, namespace, name string) error {
	return fmt.Errorf("%s %s/%s %w; create it, or correct the name in spec.resourceClaims",
		kind, namespace, name, ErrMissing)
}

// ErrForeign is wrapped by errors about claims for devices that are not
// Weir's to grant.
var ErrForeign = errors.New("is not a class that Weir grants")

type foreignError struct{ about *Error }

func (e foreignError) Error() string { return e.about.Error() }

// Is makes errors.Is find [ErrForeign].
func (e foreignError) Is(target error) bool { return target == ErrForeign }

// foreign returns an error for a request for a device of another class.
func foreign(class string) error {
	return foreignError{&Error{"deviceClassName", class, ErrForeign.Error(),
		"write " + Driver + ", or leave the pod to another scheduler"}}
}
