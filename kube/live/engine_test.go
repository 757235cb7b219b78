package live_test

import (
	"reflect"
	"testing"

	"github.com/weir-gpu/weir/kube/live"
	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sim/replay"
)

// The live scheduler and the simulator build their engine from one type, left
// as it is by default: node fitness is all that the live one sets, as a trace
// has no nodes to be unfit for.
func TestSameEngineAsSimulated(t *testing.T) {
	config := reflect.TypeFor[sched.Config]()
	for _, options := range []any{replay.Options{}, live.Options{}} {
		v := reflect.ValueOf(options).FieldByName("Engine")
		if !v.IsValid() || v.Type() != config || !v.IsZero() {
			t.Errorf("%T has no field Engine of type %v", options, config)
		}
	}
}
