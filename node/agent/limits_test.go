package agent

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// TestLimitsAreLoweredUnderWork takes back what a job has not taken, again and
// again, while the job takes and gives back: it never has more than the limit
// that was left to it.
func TestLimitsAreLoweredUnderWork(t *testing.T) {
	const promised = 160 << 20
	a, err := New(Options{Dir: t.TempDir(), Devices: []parts.Device{{UUID: "GPU-0", Memory: promised}}, Arena: promised,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	j := &job{id: "j1", request: Request{Policy: Lend, Hold: &Hold{By: "x"}}, parts: []parts.Part{{Memory: promised}}, most: []uint64{promised},
		recent: make([]recent, 1), pages: &wire.Pages{Rules: new(wire.Rules), Cells: new(wire.CellTable)}}
	j.stay.limits, j.cells[0] = make([]uint64, 1), &process{}
	use, limit := &j.pages.Cells.Cell[0].Device[0], &j.pages.Rules.Device[0].MemoryLimit
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() { // as the shim does
		for {
			select {
			case <-stop:
				return
			default:
			}
			bytes := 1 + rand.Uint64N(40<<20)
			use.Wanted.Store(bytes)
			if use.Charged.Load()+bytes <= limit.Load() {
				use.Charged.Add(bytes)
			}
			use.Wanted.Store(0)
			if has := use.Charged.Load(); rand.IntN(3) == 0 {
				use.Charged.Add(-rand.Uint64N(has + 1))
			}
		}
	})
	most, lowered := uint64(0), 0
	for range 10_000 {
		limit.Store(promised)
		a.lower(j, 0, j.needs)
		left := limit.Load()
		if left < promised {
			lowered++
		}
		for range 3 {
			if has := use.Charged.Load(); has > left {
				t.Fatalf("%d bytes are taken where the limit is %d", has, left)
			}
		}
		most = max(most, left)
	}
	close(stop)
	wait.Wait()
	if lowered == 0 || most < promised/2 {
		t.Errorf("nothing was tried: it was lowered %d times, to %d at most", lowered, most)
	}
}
