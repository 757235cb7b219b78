package trace

import (
	"bytes"
	_ "embed"
	"slices"
	"time"
)

//go:embed data/philly.csv.zst
var philly []byte

// PhillyFrom is from when on the Philly trace is simulated: what came before
// was logged in part only, and counts as history.
var PhillyFrom = time.Date(2017, 10, 9, 0, 0, 0, 0, time.UTC)

// Philly returns the jobs of the embedded trace, in order of submission.
func Philly() ([]Job, error) {
	jobs, err := collect(Read("philly.csv.zst", bytes.NewReader(philly), nil))
	Sort(jobs)
	return jobs, err
}

// IsPhilly reports whether jobs, in order of submission, are those of [Philly].
func IsPhilly(jobs []Job) bool {
	own, err := Philly()
	return err == nil && slices.EqualFunc(jobs, own, func(a, b Job) bool {
		return a.Tenant == b.Tenant && a.GPUs == b.GPUs && a.Duration == b.Duration && a.Submit.Equal(b.Submit)
	})
}
