package agent

import (
	"testing"
	"time"

	"github.com/weir-gpu/weir/node/wire"
)

// TestNobodyIsSentOutForMoreThanWasPromised has an owner that may burst, and lacks
// a little of its promise, while another process of its own wants more than that
// for a moment: who borrows stays, as what was promised is there.
func TestNobodyIsSentOutForMoreThanWasPromised(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	owner := w.begin(Request{Devices: 1, Memory: 10 * roomStep, Most: 30 * roomStep, Policy: Lend})
	owner.wishes(0, 8*roomStep, true)
	w.passes(time.Second, owner)
	borrower := w.begin(Request{Devices: 1, Memory: 28 * roomStep, Policy: Borrow})
	borrower.cell.Asleep.Store(1)
	large := w.begin(Request{Devices: 1, Memory: 39 * roomStep, Policy: Borrow})
	large.cell.Asleep.Store(1) // it waits in vain, and the owner has no more than it has taken
	w.passes(time.Second, owner)
	if borrower.state() != In || owner.limit(0) >= 10*roomStep {
		t.Fatalf("nothing is lent:%s", w)
	}
	owner.cell.Device[0].Wanted.Store(20 * roomStep)
	owner.cell.Lacks[0].Store(2 * roomStep / wire.Chunk)
	w.a.arrange()
	owner.cell.Device[0].Wanted.Store(0)
	if borrower.state() != In || owner.limit(0) < 10*roomStep {
		t.Errorf("who borrows is %s, and the owner may have %d MiB:%s", borrower.state(), owner.limit(0)>>20, w)
	}
}

// TestWhoComesInIsDecidedByOneReading has a job that is out, and says now that it
// has what it was promised, and now that it has more: with more it is the equal
// of who borrows, who has just come in, and with what it was promised it fits.
func TestWhoComesInIsDecidedByOneReading(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	bursts := w.begin(Request{Devices: 1, Memory: 10 * roomStep, Most: 30 * roomStep, Policy: Lend})
	w.a.move(bursts.job)
	bursts.moves()
	borrower := w.begin(Request{Devices: 1, Memory: 28 * roomStep, Policy: Borrow})
	if borrower.state() != In {
		t.Fatalf("nothing is there:%s", w)
	}
	use := &bursts.cell.Device[0]
	stop := writes(func(n uint64) { use.Charged.Store((5 + 20*(n%2)) * roomStep) })
	defer stop()
	for range 20_000 {
		if bursts.state() != Out {
			w.a.move(bursts.job)
			bursts.moves()
		}
		use.Swapped.Store(30 * roomStep)
		bursts.cell.Asleep.Store(1)
		w.a.arrange()
		if borrower.state() != In {
			t.Fatalf("who borrows is sent out:%s", w)
		}
	}
}

// TestWhoDoesNotGoIsNotWaitedForAlone has an owner that wants what two borrow: the
// one that would go first cannot, and says so each time; or it says nothing, as
// its process is stopped, on its way out or in. The other one goes.
func TestWhoDoesNotGoIsNotWaitedForAlone(t *testing.T) {
	for name, first := range map[string]func(w *world, stuck *played){
		"it says that it cannot": func(w *world, stuck *played) {
			if place := stuck.pages.Rules.Place.Load(); out(place) {
				w.a.unmoved(stuck.job, place, "its work does not come to an end")
			}
			stuck.moves()
		},
		"it is stopped": func(*world, *played) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t.TempDir(), 1, t.Fatalf)
			owner := w.begin(Request{Devices: 1, Memory: 32 * roomStep, Policy: Lend})
			stuck := w.begin(Request{Devices: 1, Memory: 16 * roomStep, Policy: Borrow})
			other := w.begin(Request{Devices: 1, Memory: 16 * roomStep, Policy: Borrow, Priority: 1})
			if stuck.state() != In || other.state() != In {
				t.Fatalf("nothing is lent:%s", w)
			}
			owner.cell.Lacks[0].Store(16 * roomStep / wire.Chunk)
			for end := w.t + int64(2*time.Minute); w.t < end && owner.cell.Lacks[0].Load() > 0; {
				w.t += int64(50 * time.Millisecond)
				for _, p := range w.jobs {
					p.cell.Device[0].Launches.Add(1)
					if p != stuck {
						p.moves()
					}
					p.again()
				}
				first(w, stuck)
				w.a.arrange()
				w.check()
			}
			if owner.cell.Lacks[0].Load() > 0 {
				t.Errorf("the owner waits:%s", w)
			}
		})
	}
}

// TestWhoSaysAtOnceThatItCannotGo is not asked again at once, without an end.
func TestWhoSaysAtOnceThatItCannotGo(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	owner := w.begin(Request{Devices: 1, Memory: 32 * roomStep, Policy: Lend})
	stuck := w.begin(Request{Devices: 1, Memory: 28 * roomStep, Policy: Borrow})
	owner.cell.Lacks[0].Store(16 * roomStep / wire.Chunk)
	before := stuck.stay.place
	for range 1000 { // in ten seconds
		w.t += int64(10 * time.Millisecond)
		w.a.arrange()
		w.a.unmoved(stuck.job, stuck.stay.place, "no")
		stuck.moves()
	}
	if n := stuck.stay.place - before; n < 10 || n > 30 {
		t.Errorf("it was told to go and come %d times", n)
	}
}

// TestWhoComesInIsTurnedAround has an owner want what one who borrows is about to
// have, whose process is stopped on its way in, or for which there is no room.
func TestWhoComesInIsTurnedAround(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	owner := w.begin(Request{Devices: 1, Memory: 32 * roomStep, Policy: Lend})
	borrower := w.begin(Request{Devices: 1, Memory: 28 * roomStep, Policy: Borrow})
	w.a.move(borrower.job)
	borrower.moves()
	borrower.cell.Asleep.Store(1)
	w.a.arrange()
	if borrower.state() != Returning {
		t.Fatalf("it does not come in:%s", w)
	}
	owner.cell.Lacks[0].Store(16 * roomStep / wire.Chunk)
	w.a.arrange()
	if borrower.state() != Leaving {
		t.Errorf("it is not told to go:%s", w)
	}
}

// TestWhoNeverComesInIsTurnedAround has one that borrows never say that it is in:
// its equal has its turn, not at once, but in the end.
func TestWhoNeverComesInIsTurnedAround(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	first := w.begin(Request{Devices: 1, Memory: 28 * roomStep, Policy: Borrow})
	w.a.move(first.job)
	first.moves()
	first.cell.Asleep.Store(1)
	w.a.arrange()
	second := w.begin(Request{Devices: 1, Memory: 28 * roomStep, Policy: Borrow})
	second.cell.Asleep.Store(1)
	for i := range 60 {
		w.t += int64(time.Second)
		w.a.arrange()
		if i < 20 && first.state() != Returning {
			t.Fatalf("it is turned around at once:%s", w)
		}
	}
	if first.state() != Leaving {
		t.Errorf("its equal waits:%s", w)
	}
}

// TestWhoSaysThatNothingCanGoIsAsked has one who borrows say that all that it has
// is such as cannot be swapped: it was promised none of that, so the owner has it.
func TestWhoSaysThatNothingCanGoIsAsked(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	owner := w.begin(Request{Devices: 1, Memory: 32 * roomStep, Policy: Lend})
	borrower := w.begin(Request{Devices: 1, Memory: 28 * roomStep, Policy: Borrow})
	borrower.cell.Device[0].Charged.Store(28 * roomStep)
	owner.cell.Lacks[0].Store(16 * roomStep / wire.Chunk)
	w.a.arrange()
	if borrower.state() != Leaving {
		t.Fatalf("it is not told to go:%s", w)
	}
	borrower.moves()
	w.a.arrange()
	if owner.limit(0) < 16*roomStep {
		t.Errorf("the owner waits:%s", w)
	}
}

// TestMovesAreMeasured has one that could not go out come back at once: how fast
// memory moves is not learned from that. Nor does it take longer to move one that
// writes that it has more than it may have: its equal has its turn.
func TestMovesAreMeasured(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	first := w.begin(Request{Devices: 1, Memory: 28 * roomStep, Policy: Borrow})
	first.wishes(0, 28*roomStep, true)
	first.charges(0)
	w.a.move(first.job)
	w.t += int64(10 * time.Second)
	w.a.unmoved(first.job, 1, "its work does not come to an end")
	w.t += int64(time.Microsecond)
	first.moves()
	w.a.arrange()
	if first.state() != In || w.a.speed != [2]float64{} {
		t.Fatalf("learned from a move that was none: %v%s", w.a.speed, w)
	}
	for range 2 {
		w.a.move(first.job)
		w.t += int64(time.Second)
		first.moves()
		w.a.arrange()
	}
	if want := 28.0 * roomStep; w.a.speed != [2]float64{want, want} {
		t.Fatalf("moved with %v", w.a.speed)
	}
	first.cell.Device[0].Swappable.Store(1 << 57)
	first.stay.until = 0
	second := w.begin(Request{Devices: 1, Memory: 28 * roomStep, Policy: Borrow})
	second.cell.Asleep.Store(1)
	for range 25 {
		w.t += int64(time.Second)
		first.cell.Device[0].Launches.Add(1)
		w.a.arrange()
	}
	if first.state() != Leaving {
		t.Errorf("its equal waits for its turn:%s", w)
	}
}

// TestLendableIsReadOnce has the cells of a job change while it is told what could
// be lent: it is never more than there is.
func TestLendableIsReadOnce(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	p := w.begin(Request{Devices: 1, Memory: 20 * roomStep, Policy: Lend})
	use := &p.cell.Device[0]
	stop := writes(func(n uint64) { use.Swappable.Store(n % 2 * 20 * roomStep); use.Charged.Store(n % 2 * 20 * roomStep) })
	defer stop()
	for range 100_000 {
		if bytes := w.a.lendable(0, w.t+int64(time.Minute)); bytes > roomDevice {
			t.Fatalf("%d MiB of %d can be lent", bytes>>20, roomDevice>>20)
		}
	}
}
