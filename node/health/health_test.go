package health_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weir-gpu/weir/node/discover"
	"github.com/weir-gpu/weir/node/health"
	"github.com/weir-gpu/weir/node/parts"
)

var a, b = parts.Device{UUID: "a", Memory: 1}, parts.Device{UUID: "b", Memory: 1, Ordinal: 1}

func TestBook(t *testing.T) {
	book := health.New([]parts.Device{a, b})
	for i, step := range []struct {
		there   []parts.Device
		err     error
		a, b    health.State
		changed int
	}{
		{[]parts.Device{a, b}, nil, health.Well, health.Well, 0},
		{[]parts.Device{a}, nil, health.Well, health.Unsure, 1},
		{nil, errors.New("no answer"), health.Unsure, health.Unsure, 1},
		{nil, errors.New("no answer"), health.Unsure, health.Unsure, 0},
		{[]parts.Device{a}, nil, health.Well, health.Lost, 2},
		{nil, discover.ErrNone, health.Unsure, health.Lost, 1},
		{nil, discover.ErrNone, health.Lost, health.Lost, 1},
		{[]parts.Device{b}, nil, health.Lost, health.Well, 1},
	} {
		if changed := book.Answer(step.there, step.err); len(changed) != step.changed ||
			book.Of(a) != step.a || book.Of(b) != step.b {
			t.Errorf("step %d: %d changed, a is %d, b is %d", i, len(changed), book.Of(a), book.Of(b))
		}
	}
}

func TestRemember(t *testing.T) {
	file := filepath.Join(t.TempDir(), "devices.json")
	other := parts.Device{UUID: "c", Memory: 1, Ordinal: 1}
	for i, step := range []struct {
		found []parts.Device
		err   error
		want  []parts.Device
		fails bool
	}{
		{nil, discover.ErrNone, nil, true},
		{[]parts.Device{a, b}, nil, []parts.Device{a, b}, false},
		{[]parts.Device{b}, nil, []parts.Device{a, b}, false},
		{nil, discover.ErrNone, []parts.Device{a, b}, false},
		{nil, errors.New("no answer"), nil, true},
		{[]parts.Device{other}, nil, []parts.Device{a, other}, false}, // b's number is another's
	} {
		got, err := health.Remember(file, step.found, step.err)
		if !slices.Equal(got, step.want) || (err != nil) != step.fails {
			t.Errorf("step %d: %+v, %v", i, got, err)
		}
	}
	if err := os.WriteFile(file, []byte(`[{"uu`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := health.Remember(file, []parts.Device{a}, nil); err != nil || !slices.Equal(got, []parts.Device{a}) {
		t.Errorf("after a file that was cut off: %+v, %v", got, err)
	}
}
