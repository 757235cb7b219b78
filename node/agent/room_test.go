package agent

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/node/wire"
	_ "github.com/weir-gpu/weir/test/seed"
)

// check is the law that holds at every moment.
func (w *world) check() {
	for d := range w.a.opts.Devices {
		sum := uint64(0)
		for _, p := range w.jobs {
			if i := p.part(d); i >= 0 {
				sum += p.reach(i)
				if p.request.Policy == Lend && p.limit(i) > p.stay.limits[i] {
					w.fatalf("%s may have %d MiB, and %d are written down", p.id, p.limit(i)>>20, p.stay.limits[i]>>20)
				}
			}
		}
		if sum > roomDevice {
			w.fatalf("%d MiB of a device may be taken, which has %d: %s", sum>>20, roomDevice>>20, w)
		}
	}
}

// settles lets all that is going on come to its end, with no time passing.
// Nobody is brought in and sent out again.
func (w *world) settles() {
	places := map[*played]uint32{}
	for _, p := range w.jobs {
		places[p] = p.stay.place
	}
	for range 50 {
		for _, p := range w.jobs {
			p.moves()
		}
		w.a.arrange()
		w.check()
	}
	for _, p := range w.jobs {
		if n := p.stay.place - places[p]; n > 1 {
			w.fatalf("%s was moved %d times, and nothing had changed:%s", p.id, n, w)
		}
	}
}

// conserves is the law that nothing lies idle that somebody waits for: who is
// out does not fit beside what others have.
func (w *world) conserves() {
	for _, p := range w.jobs {
		if p.state() != Out || p.stay.held || p.cell.Asleep.Load() == 0 {
			continue
		}
		fits := true
		for i, part := range p.parts {
			room := uint64(0)
			for _, q := range w.jobs {
				if k := q.part(part.Device); k >= 0 && q != p {
					room += q.least(k)
				}
			}
			fits = fits && room+p.needs(i) <= roomDevice
		}
		if fits {
			w.fatalf("%s is out, and fits:%s", p.id, w)
		}
	}
}

// least is what a job has of a device, with its cushion.
func (p *played) least(part int) uint64 {
	use, promised := &p.cell.Device[part], p.parts[part].Memory
	has := use.Charged.Load() + p.wish[part]
	if p.state() == Out {
		return has - use.Swapped.Load()
	}
	if p.request.Policy != Lend {
		return promised
	}
	return max(has, min(promised, max(has+p.lacks(part), p.recent[part].bytes)+cushion(promised)))
}

// waitsForItsOwn reports whether a job lacks what was promised to it.
func (p *played) waitsForItsOwn() bool {
	if p.stay.held || p.borrows() {
		return false
	}
	lacks, all := false, true
	for i, part := range p.parts {
		use := &p.cell.Device[i]
		lacks = lacks || p.cell.Lacks[i].Load() > 0
		all = all && use.Charged.Load() <= part.Memory
	}
	return p.open() && lacks || !p.open() && all && p.cell.Asleep.Load() != 0
}

// keeps is the law that who was promised something has it, sooner or later,
// whatever others do with theirs.
func (w *world) keeps() {
	for range 200 {
		w.t += int64(50 * time.Millisecond)
		waits := false
		for _, p := range w.jobs {
			p.moves()
			p.again()
			for i := range p.parts {
				p.charges(i)
			}
			if p.state() == In {
				p.cell.Device[0].Launches.Add(1)
			}
			waits = waits || p.waitsForItsOwn()
		}
		w.a.arrange()
		w.check()
		if !waits {
			return
		}
	}
	w.fatalf("somebody waits for what was promised:%s", w)
}

// TestRoom plays jobs of all policies against what the agent must never do, and
// must do in the end.
func TestRoom(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(dir, rapid.IntRange(1, 2).Draw(t, "devices"), t.Fatalf)
		w.T = t
		t.Repeat(w.actions())
		w.settles()
		w.conserves()
		w.settles()
		w.keeps()
		w.settles()
		w.conserves()
	})
}

// passes lets a while pass in which a job works, and all do what the agent says.
func (w *world) passes(d time.Duration, works *played) {
	for ; d > 0; d -= 50 * time.Millisecond {
		w.t += int64(50 * time.Millisecond)
		works.cell.Device[0].Launches.Add(1)
		for _, p := range w.jobs {
			p.moves()
			p.again()
			p.charges(0)
		}
		w.a.arrange()
		w.check()
	}
}

// TestWhoTakesAgainSendsOthersOutOnce has an owner that takes and gives back the
// same, again and again, beside one who borrows what it leaves.
func TestWhoTakesAgainSendsOthersOutOnce(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	owner := w.begin(Request{Devices: 1, Memory: 32 * roomStep, Policy: Lend})
	owner.wishes(0, 4*roomStep, true)
	w.passes(time.Second, owner)
	borrower := w.begin(Request{Devices: 1, Memory: 24 * roomStep, Policy: Borrow})
	borrower.cell.Asleep.Store(1)
	w.passes(time.Second, owner)
	if borrower.state() != In || borrower.stay.swaps != 0 {
		t.Fatalf("it does not fit beside what is taken:%s", w)
	}
	for range 10 {
		owner.wishes(0, 20*roomStep, true)
		w.passes(500*time.Millisecond, owner)
		if has := owner.cell.Device[0].Charged.Load(); has != 24*roomStep {
			t.Fatalf("the owner has %d MiB:%s", has>>20, w)
		}
		owner.free(0, 20*roomStep)
		borrower.cell.Asleep.Store(borrower.pages.Rules.Place.Load() % 2)
		w.passes(500*time.Millisecond, owner)
	}
	if borrower.stay.swaps != 1 {
		t.Errorf("it was sent out %d times", borrower.stay.swaps)
	}
	w.passes(w.a.opts.IdleMemory, owner)
	if borrower.state() != In {
		t.Errorf("what was given back long ago is not lent:%s", w)
	}
}

// TestRoomBeingMadeIsKeptFree has one who borrows little, and would fit into what
// is left for the moment: the owner for whom room is being made would send it
// out again at once.
func TestRoomBeingMadeIsKeptFree(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	owner := w.begin(Request{Devices: 1, Memory: 32 * roomStep, Policy: Lend})
	owner.wishes(0, 4*roomStep, true)
	small := w.begin(Request{Devices: 1, Memory: 10 * roomStep, Policy: Borrow})
	w.passes(time.Second, owner)
	_ = w.a.swap(small.id, 0, Out) // nothing can be written down here
	w.begin(Request{Devices: 1, Memory: 24 * roomStep, Policy: Borrow})
	w.passes(time.Second, owner)
	large := w.begin(Request{Devices: 1, Memory: 39 * roomStep, Policy: Borrow})
	large.cell.Asleep.Store(1) // it waits in vain, and the owner has no more than it has taken
	w.passes(time.Second, owner)
	swaps := small.stay.swaps
	owner.wishes(0, 36*roomStep, true) // refused: it is more than was promised
	owner.wishes(0, 28*roomStep, true)
	_ = w.a.swap(small.id, 0, In)
	w.passes(time.Second, owner)
	if has := owner.cell.Device[0].Charged.Load(); has != 32*roomStep || small.stay.swaps != swaps {
		t.Errorf("the owner has %d MiB, and who borrows was sent out %d times:%s", has>>20, small.stay.swaps-swaps, w)
	}
}

// TestCellsChangeWhileTheyAreRead has processes of two owners write in their
// cells all the while, the one what the shim does and the other what it likes:
// what their jobs may have stays within what the one who borrows has left, who
// does not leave.
func TestCellsChangeWhileTheyAreRead(t *testing.T) {
	w := newWorld(t.TempDir(), 1, t.Fatalf)
	right := w.begin(Request{Devices: 1, Memory: 20 * roomStep, Policy: Lend})
	wrong := w.begin(Request{Devices: 1, Memory: 10 * roomStep, Policy: Lend})
	borrower := w.begin(Request{Devices: 1, Memory: 24 * roomStep, Policy: Borrow})
	w.a.arrange()
	right.wishes(0, 4*roomStep, true)
	right.charges(0)
	borrower.cell.Asleep.Store(1)
	w.a.arrange()
	borrower.moves()
	w.a.arrange()
	if borrower.state() != In {
		t.Fatalf("nothing is lent:%s", w)
	}
	defer writes(func(uint64) { // it wants 14 more, and is to wait
		use, lacks := &right.cell.Device[0], &right.cell.Lacks[0]
		use.Wanted.Store(14 * roomStep)
		use.Wanted.Store(0)
		lacks.Store(14 * roomStep / wire.Chunk)
		lacks.Store(0)
	})()
	defer writes(func(n uint64) {
		use := &wrong.cell.Device[0]
		values := []uint64{0, roomStep, 9 * roomStep, roomDevice, math.MaxUint64}
		use.Charged.Store(values[n%5])
		use.Wanted.Store(values[n/5%5])
		use.Swapped.Store(values[n/3%5])
		wrong.cell.Lacks[0].Store(uint32(values[n/7%5] / wire.Chunk))
	})()
	for range 20_000 {
		w.a.arrange()
		if sum := right.limit(0) + wrong.limit(0) + borrower.limit(0); sum > roomDevice {
			t.Errorf("%d MiB of %d may be taken:%s", sum>>20, roomDevice>>20, w)
			break
		}
	}
}
