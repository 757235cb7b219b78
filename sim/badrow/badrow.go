// Package badrow says what is wrong with a row of a file of rows, in the same
// words for every trace. Reading the rows is for who knows what they mean.
package badrow

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

// Error is one thing that is wrong with a file.
type Error struct {
	File   string
	Line   int
	Column string // "" when it is the whole line
	Value  string
	Valid  string // what would be valid: "write a whole number from 0 to 1000"
}

// Error is one sentence that names all of them.
func (e *Error) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("%s line %d is %s: %s", e.File, e.Line, e.Value, e.Valid)
	}
	return fmt.Sprintf("%s line %d: %s is %q: %s", e.File, e.Line, e.Column, e.Value, e.Valid)
}

// Unreadable says where a file cannot be read as CSV at all: err came from in.
func Unreadable(file string, in *csv.Reader, err error) error {
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		return &Error{File: file, Line: parse.Line, Value: fmt.Sprintf("not CSV (%v)", parse.Err),
			Valid: "write fields separated by commas, without quotes inside them"}
	case errors.Is(err, io.EOF):
		return &Error{File: file, Line: 1, Value: "missing", Valid: "write the names of the columns"}
	}
	return fmt.Errorf("%s at byte %d: %w", file, in.InputOffset(), err)
}
