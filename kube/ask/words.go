package ask

import (
	"errors"
	"math"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/weir-gpu/weir/sched"
)

// Words is what people wrote about a workload. Zero values and nils were not
// written; the defaults are the caller's.
type Words struct {
	Project     string
	Pools       []string
	Kind        sched.Kind
	Preemptible *bool
	Priority    *int32
	MinPods     *int
	MinRuntime  *int64 // ms
	MaxMoves    *int
	// ExpectedRuntime (ms) is how long each pod is expected to run.
	ExpectedRuntime *int64
	Suspend         *bool
}

// ReadWords reads the words of the objects, the first of which wins word by
// word: pass the owner before its pods. When some words are wrong it returns
// the others beside the errors, which are joined in a fixed order.
func ReadWords(objects ...metav1.Object) (Words, error) {
	var words Words
	var errs []error
	for _, r := range wordReaders {
		for _, obj := range objects {
			if obj == nil {
				continue
			}
			w := written(obj, r.name)
			if !w.set {
				continue
			}
			errs = append(errs, r.read(&words, w))
			break
		}
	}
	return words, errors.Join(errs...)
}

const (
	minPodsValid  = "write a whole number of at least 1"
	maxMovesValid = "write a whole number of at least 0"
	priorityValid = "write a whole number from -2147483648 to 1000000000"
	runtimeValid  = "write a duration such as \"5m\" or \"1h30m\""
)

// wordReaders lists the words about workloads and how each is read.
var wordReaders = []struct {
	name string
	read func(*Words, word) error
}{
	{Project, func(ws *Words, w word) error {
		if w.value == "" {
			return w.bad("is empty", "write the name of a Project")
		}
		ws.Project = w.value
		return nil
	}},
	{NodePool, func(ws *Words, w word) (err error) {
		ws.Pools, err = list(w, "write the names of NodePools such as \"a100,h100\", the preferred one first")
		return err
	}},
	{Kind, func(ws *Words, w word) error {
		switch k := sched.Kind(w.value); k {
		case sched.Build, sched.Train, sched.Infer:
			ws.Kind = k
			return nil
		}
		return w.bad("is not a kind of workload", "write build, train or infer")
	}},
	{Preemptible, func(ws *Words, w word) error { return readBool(w, &ws.Preemptible) }},
	{Priority, func(ws *Words, w word) error {
		v, err := whole(w, math.MinInt32, 1_000_000_000, priorityValid)
		return keep(&ws.Priority, int32(v), err)
	}},
	{MinPods, func(ws *Words, w word) error {
		v, err := whole(w, 1, math.MaxInt32, minPodsValid)
		return keep(&ws.MinPods, int(v), err)
	}},
	{MinRuntime, func(ws *Words, w word) error { return readTime(w, &ws.MinRuntime) }},
	{Runtime, func(ws *Words, w word) error { return readTime(w, &ws.ExpectedRuntime) }},
	{MaxMoves, func(ws *Words, w word) error {
		v, err := whole(w, 0, math.MaxInt32, maxMovesValid)
		return keep(&ws.MaxMoves, int(v), err)
	}},
	{Suspend, func(ws *Words, w word) error { return readBool(w, &ws.Suspend) }},
}

func readBool(w word, into **bool) error {
	if w.value != "true" && w.value != "false" {
		return w.bad("is neither true nor false", "write true or false")
	}
	return keep(into, w.value == "true", nil)
}

func readTime(w word, into **int64) error {
	d, err := time.ParseDuration(w.value)
	if err != nil {
		return w.bad("is not a duration", runtimeValid)
	}
	if d < 0 {
		return w.bad("is negative", runtimeValid)
	}
	return keep(into, d.Milliseconds(), nil)
}

// keep stores v unless there was an error in reading it.
func keep[T any](into **T, v T, err error) error {
	if err == nil {
		*into = &v
	}
	return err
}

// SuspendText is the value with which [Suspend] is written.
func SuspendText(suspended bool) string { return strconv.FormatBool(suspended) }
