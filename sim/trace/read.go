package trace

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/weir-gpu/weir/sim/badrow"
)

// mostErrors bounds what is told of a file in which everything is wrong.
const mostErrors = 20

// Open reads the jobs of all files, in order of submission. The error names
// everything that is wrong, up to a point.
func Open(files []string, c Columns) ([]Job, error) {
	var jobs []Job
	var wrong []error
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		some, err := collect(Read(filepath.Base(name), f, c))
		f.Close()
		jobs = append(jobs, some...)
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	Sort(jobs)
	return jobs, errors.Join(wrong...)
}

// collect returns all jobs, or what is wrong with them.
func collect(rows iter.Seq2[Job, error]) (jobs []Job, err error) {
	var wrong []error
	for j, err := range rows {
		if err == nil {
			jobs = append(jobs, j)
			continue
		}
		if wrong = append(wrong, err); len(wrong) == mostErrors {
			wrong = append(wrong, errors.New("and maybe more: the rest was not read"))
			break
		}
	}
	return jobs, errors.Join(wrong...)
}

// Read yields the jobs of one file in the order of its rows, or what is wrong
// with them. It goes on after a wrong row, unless the file cannot be read
// further. file is its name: its ending tells how it is packed (.gz, .zst), and
// what is before the first dot is the tenant where no column is.
func Read(file string, r io.Reader, c Columns) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		r, done, err := unpack(file, r)
		if err != nil {
			yield(Job{}, fmt.Errorf("%s: %w", file, err))
			return
		}
		defer done()
		t := &table{file: file, in: csv.NewReader(r)}
		t.in.FieldsPerRecord, t.in.ReuseRecord = -1, true
		if err := t.begin(c); err != nil {
			yield(Job{}, err)
			return
		}
		for {
			j, err := t.next()
			if errors.Is(err, io.EOF) {
				return
			}
			var row *badrow.Error
			if goOn := yield(j, err); !goOn || err != nil && (!errors.As(err, &row) || t.broken) {
				return
			}
		}
	}
}

// unpack returns a reader of what is in the file, and what to call at the end.
func unpack(file string, r io.Reader) (io.Reader, func(), error) {
	switch filepath.Ext(file) {
	case ".zst":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	case ".gz":
		d, err := gzip.NewReader(r)
		return d, func() {}, err
	}
	return r, func() {}, nil
}

// table is a file that is being read.
type table struct {
	file   string
	in     *csv.Reader
	header []string
	at     layout
	names  map[string]string // tenants: one string for all jobs of one
	broken bool              // it cannot be read further
}

// begin reads the header.
func (t *table) begin(c Columns) error {
	record, err := t.in.Read()
	if err != nil {
		return badrow.Unreadable(t.file, t.in, err)
	}
	for i, name := range record {
		if i == 0 {
			name = strings.TrimPrefix(name, "\ufeff")
		}
		t.header = append(t.header, strings.Clone(strings.TrimSpace(name)))
	}
	var wrong *badrow.Error
	if t.at, wrong = c.lay(t.header); wrong != nil {
		wrong.File, wrong.Line = t.file, 1
		return wrong
	}
	t.names = map[string]string{}
	return nil
}

// next reads one job; the error is io.EOF at the end.
func (t *table) next() (Job, error) {
	record, err := t.in.Read()
	if errors.Is(err, io.EOF) {
		return Job{}, io.EOF
	}
	if err != nil {
		t.broken = true
		return Job{}, badrow.Unreadable(t.file, t.in, err)
	}
	line, _ := t.in.FieldPos(0)
	if len(record) != len(t.header) {
		return Job{}, &badrow.Error{File: t.file, Line: line,
			Value: fmt.Sprintf("a row of %d fields", len(record)),
			Valid: fmt.Sprintf("write %d, one for each column of the first line", len(t.header))}
	}
	tenant, _, _ := strings.Cut(t.file, ".")
	j := Job{ID: strconv.Itoa(line), Tenant: tenant}
	for _, f := range Fields {
		i := t.at[f]
		if i < 0 {
			continue
		}
		if valid := f.parse(&j, record[i]); valid != "" {
			return Job{}, &badrow.Error{File: t.file, Line: line, Column: t.header[i], Value: record[i], Valid: valid}
		}
	}
	j.ID, j.Tenant = strings.Clone(j.ID), t.shared(j.Tenant)
	return j, nil
}

// shared returns the one copy of a tenant's name.
func (t *table) shared(name string) string {
	if own, ok := t.names[name]; ok {
		return own
	}
	own := strings.Clone(name)
	t.names[own] = own
	return own
}
