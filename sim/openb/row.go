package openb

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/weir-gpu/weir/sim/badrow"
)

// column is how one column of a trace is read into a row. read returns what
// would be valid when text is not.
type column[T any] struct {
	name string
	read func(row *T, text string) (valid string)
}

// table is the form of a trace's file.
type table[T any] struct {
	columns []column[T]
	name    func(*T) string
	// check returns the column that does not go with the others and what would
	// be valid there.
	check func(*T) (column, valid string)
}

// read yields the rows of a file, or what is wrong with them. It goes on after
// a wrong row, unless the file cannot be read further.
func (t table[T]) read(file string, r io.Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		in := csv.NewReader(r)
		in.FieldsPerRecord = -1
		in.ReuseRecord = true
		header, err := in.Read()
		if err != nil {
			yield(none, badrow.Unreadable(file, in, err))
			return
		}
		order, rowErr := t.order(file, header)
		if rowErr != nil {
			yield(none, rowErr)
			return
		}
		lines := map[string]int{}
		for {
			record, err := in.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(none, badrow.Unreadable(file, in, err))
				return
			}
			line, _ := in.FieldPos(0)
			row, rowErr := t.row(record, order, lines, line)
			if rowErr != nil {
				rowErr.File, rowErr.Line = file, line
				if !yield(none, rowErr) {
					return
				}
			} else if !yield(row, nil) {
				return
			}
		}
	}
}

// row reads one record. lines has the line of every name so far.
func (t table[T]) row(record []string, order []int, lines map[string]int, line int) (row T, _ *badrow.Error) {
	if len(record) != len(order) {
		return row, &badrow.Error{
			Value: fmt.Sprintf("a row of %d fields", len(record)),
			Valid: fmt.Sprintf("write %d, one for each column of the first line", len(order)),
		}
	}
	field := map[string]string{}
	for i, text := range record {
		c := t.columns[order[i]]
		if valid := c.read(&row, text); valid != "" {
			return row, &badrow.Error{Column: c.name, Value: text, Valid: valid}
		}
		field[c.name] = text
	}
	if column, valid := t.check(&row); column != "" {
		return row, &badrow.Error{Column: column, Value: field[column], Valid: valid}
	}
	name := t.name(&row)
	if first, twice := lines[name]; twice {
		return row, &badrow.Error{Column: t.columns[0].name, Value: name,
			Valid: fmt.Sprintf("write a name of its own, line %d has this one", first)}
	}
	lines[name] = line
	return row, nil
}

// order returns, for each column of the header, its place in the table.
func (t table[T]) order(file string, header []string) ([]int, *badrow.Error) {
	var names []string
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	valid := "write the columns " + strings.Join(names, ",") + ", each once"
	var order []int
	for _, name := range header {
		at := slices.Index(names, strings.TrimPrefix(name, "\ufeff"))
		if at < 0 || slices.Contains(order, at) {
			return nil, &badrow.Error{File: file, Line: 1, Column: "the header", Value: name, Valid: valid}
		}
		order = append(order, at)
	}
	if len(order) < len(names) {
		return nil, &badrow.Error{File: file, Line: 1, Column: "the header", Value: strings.Join(header, ","), Valid: valid}
	}
	return order, nil
}

// number reads a whole number within bounds.
func number(into *int64, text string, low, high int64) (valid string) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high || text != strconv.FormatInt(n, 10) {
		return fmt.Sprintf("write a whole number from %d to %d", low, high)
	}
	*into = n
	return ""
}

// objectName reads a name that a Kubernetes object can have.
func objectName(into *string, text string) (valid string) {
	if len(validation.IsDNS1123Label(text)) > 0 {
		return "write a name of lower-case letters, digits and dashes"
	}
	*into = text
	return ""
}

// modelName reads the name of a GPU model, which has to be fit for a label.
func modelName(text string) (valid string) {
	if text == "" || len(validation.IsValidLabelValue(text)) > 0 {
		return "write the name of a GPU model, of letters, digits and dashes"
	}
	return ""
}

// Collect returns all rows, or all that is wrong with them, joined.
func Collect[T any](rows iter.Seq2[T, error]) ([]T, error) {
	var all []T
	var errs []error
	for row, err := range rows {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, row)
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	return all, nil
}
