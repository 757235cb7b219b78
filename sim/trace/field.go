package trace

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-gpu/weir/sim/badrow"
)

// Field is what a column says of a job.
type Field string

// The fields.
const (
	ID       Field = "id"
	Tenant   Field = "tenant"
	Submit   Field = "submit"
	Duration Field = "duration"
	GPUs     Field = "gpus"
)

// Fields lists all fields.
var Fields = []Field{ID, Tenant, Submit, Duration, GPUs}

// Columns maps fields to the names of columns.
type Columns map[Field]string

// Known lists the names of columns that need no telling.
var Known = map[Field][]string{
	ID:       {"job_id", "id"},
	Tenant:   {"tenant", "cluster", "vc", "project"},
	Submit:   {"submission_time", "submit_time", "timestamp", "submit"},
	Duration: {"duration", "run_time"},
	GPUs:     {"num_gpu", "num_gpus", "gpu_num", "gpus"},
}

// optional are the fields that a file may lack: the ID is then the number of
// the line, the tenant the name of the file.
var optional = []Field{ID, Tenant}

// Bounds of what a trace may hold; beyond them a number is taken for a slip.
const (
	mostGPUs    = 1 << 16
	mostSeconds = 1 << 33 // 272 years, for times and run times alike
)

// parse reads one field of a job. It returns what would be valid when text is
// not.
func (f Field) parse(j *Job, text string) (valid string) {
	switch f {
	case ID:
		j.ID = text
		return nonEmpty(text, "write what tells the job from others")
	case Tenant:
		j.Tenant = text
		return nonEmpty(text, "write whose job it is")
	case Submit:
		at, ok := instant(text)
		j.Submit = at
		return unless(ok, validTime)
	case Duration:
		d, ok := seconds(text)
		j.Duration = d
		return unless(ok && d >= 0, "write a number of seconds, such as 66 or 66.5, not negative")
	default:
		n, err := strconv.Atoi(text)
		j.GPUs = n
		return unless(err == nil && n >= 1 && n <= mostGPUs,
			fmt.Sprintf("write a whole number from 1 to %d; leave out jobs without GPUs", mostGPUs))
	}
}

func nonEmpty(text, valid string) string {
	return unless(text != "" && !strings.ContainsRune(text, 0), valid)
}

func unless(ok bool, valid string) string {
	if ok {
		return ""
	}
	return valid
}

// layouts are how times are written; without a zone they are UTC.
var layouts = []string{"2006-01-02 15:04:05", time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"}

// validTime is what to write for a time.
const validTime = "write a time such as 2017-10-09 07:01:55, 2017-10-09T07:01:55Z or a number of seconds"

// Time reads a time as a trace may have it.
func Time(text string) (time.Time, error) {
	if at, ok := instant(text); ok {
		return at, nil
	}
	return time.Time{}, errors.New(validTime)
}

// instant reads a time, to the millisecond.
func instant(text string) (time.Time, bool) {
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			s := at.Unix()
			return at.UTC().Truncate(time.Millisecond), s >= -mostSeconds && s <= mostSeconds
		}
	}
	d, ok := seconds(text)
	return time.UnixMilli(d.Milliseconds()).UTC(), ok
}

// seconds reads a decimal number of seconds, to the millisecond.
func seconds(text string) (time.Duration, bool) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(x) || math.Abs(x) > mostSeconds {
		return 0, false
	}
	return time.Duration(math.Round(x*1000)) * time.Millisecond, true
}

// layout says where in a row each field is; -1 where it is not.
type layout map[Field]int

// lay finds the fields in a header.
func (c Columns) lay(header []string) (layout, *badrow.Error) {
	at := layout{}
	for _, f := range Fields {
		place, wrong := c.find(f, header)
		if wrong != nil {
			return nil, wrong
		}
		at[f] = place
	}
	return at, nil
}

func (c Columns) find(f Field, header []string) (int, *badrow.Error) {
	names := Known[f]
	if name, told := c[f]; told {
		names = []string{name}
	}
	place := -1
	for i, name := range header {
		switch {
		case !slices.Contains(names, name):
		case place >= 0:
			return 0, &badrow.Error{Column: "the header", Value: name, Valid: fmt.Sprintf(
				"%s stands there too, say which of the two is the %s", header[place], f)}
		default:
			place = i
		}
	}
	if _, told := c[f]; place < 0 && (told || !slices.Contains(optional, f)) {
		return 0, &badrow.Error{Column: "the header", Value: strings.Join(header, ","), Valid: fmt.Sprintf(
			"write a column for the %s, called %s, or say which it is", f, strings.Join(names, " or "))}
	}
	return place, nil
}
