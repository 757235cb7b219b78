package agent

import (
	"os/exec"
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/wire"
	"github.com/weir-gpu/weir/node/witness"
)

// ended plays a borrower of one process that is out and has so much of the device
// by the driver's word for a while, and says how many were ended for that. The
// agent has never seen it on the device: it came when its job was out, or the
// agent did.
func ended(t *testing.T, bytes uint64, says func(*wire.Use)) int64 {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	p := w.begin(Request{Devices: 1, Memory: 20 * roomStep, Policy: Borrow})
	p.stay.place, p.stay.reached, p.stay.held = 1, 1, true
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	since, err := started(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	p.exceeds = make([]int64, 1)
	p.cells[0] = &process{pid: cmd.Process.Pid, started: since, seen: make([]sight, 1)}
	p.cell.Device[0].Contexts.Store(1)
	says(&p.cell.Device[0])
	w.a.watch.contexts[0] = contextSize{2 * roomStep, true}
	p.pages.Rules.Device[0].Context.Store(2 * roomStep)
	for range 10 {
		w.t += int64(time.Second)
		w.a.looked(witness.Look{At: w.t, Devices: map[string]witness.Processes{
			"GPU-0": {cmd.Process.Pid: bytes}}}, nil)
	}
	return w.a.watch.Ended
}

// What an honest process has when its job is out is not taken for what it keeps:
// its context, and the code that it has loaded.
func TestCodeIsNotKept(t *testing.T) {
	if n := ended(t, 6*roomStep, func(*wire.Use) {}); n != 0 {
		t.Error("a process was ended for its code")
	}
	if n := ended(t, 13*roomStep, func(*wire.Use) {}); n == 0 {
		t.Error("a process keeps what it likes")
	}
}

// What a borrower says cannot be swapped is its own as far as that was promised,
// which is nothing here: the shim takes no more.
func TestWhatStaysIsBounded(t *testing.T) {
	if n := ended(t, 20*roomStep, func(u *wire.Use) { u.Charged.Store(20 * roomStep) }); n == 0 {
		t.Error("a process keeps what it says cannot be swapped")
	}
}
