package agent

import (
	"testing"

	"github.com/weir-gpu/weir/node/wire"
)

// The slots of a process that has ended are looked for with the next beat: a
// container whose processes come and go without a pause, and whose journal names
// as many owners as there can be, keeps the agent from nothing else.
func TestSlotsAreFreeWithABeat(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	p := w.begin(Request{Devices: 1, Memory: 4 * roomStep, Policy: Lend})
	arena, err := wire.NewArena("x", 4*wire.Chunk)
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	p.stay.arena = arena
	owner := &arena.Slots()[0].Owner
	owner.Store(7)
	w.a.bye(p.job, p.cells[0])
	if owner.Load() != 7 {
		t.Error("they are looked for when each process ends")
	}
	w.a.beat()
	if owner.Load() != 0 {
		t.Error("they are not free")
	}
}
