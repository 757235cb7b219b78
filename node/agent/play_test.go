package agent

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/node/parts"
	"github.com/weir-gpu/weir/node/wire"
)

// world is an agent whose jobs are played: what the shim does, with no memory
// behind it, in an order and a time that are drawn.
type world struct {
	*rapid.T // nil where nothing is drawn
	fatalf   func(format string, args ...any)

	a    *Agent
	t    int64
	jobs []*played
}

// played is a job of one process.
type played struct {
	*job
	cell *wire.Cell
	// By part: a wish that is in the cell, whose limit was read; and whether it
	// was found to fit. It becomes a charge some time.
	wish []uint64
	fits []bool
}

const (
	roomDevice = 1000 << 20
	roomStep   = 25 << 20
)

func newWorld(dir string, count int, fatalf func(format string, args ...any)) *world {
	devices := make([]parts.Device, count)
	for i := range devices {
		devices[i] = parts.Device{UUID: fmt.Sprint("GPU-", i), Memory: roomDevice}
	}
	a, err := New(Options{Dir: dir, Devices: devices, Arena: 1 << 40, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		fatalf("%v", err)
	}
	w := &world{fatalf: fatalf, a: a, t: int64(time.Hour)}
	a.clock = func() int64 { return w.t }
	return w
}

// drawn is what is asked for some job.
func (w *world) drawn() Request {
	r := Request{Policy: rapid.SampledFrom([]string{Never, Lend, Lend, Borrow}).Draw(w.T, "policy"),
		Priority: rapid.IntRange(0, 1).Draw(w.T, "priority")}
	r.Memory = uint64(rapid.IntRange(2, 40).Draw(w.T, "memory")) * roomStep
	r.Devices = rapid.IntRange(1, len(w.a.opts.Devices)).Draw(w.T, "devices of it")
	if r.Policy == Lend && rapid.Bool().Draw(w.T, "bursts") {
		r.Most = r.Memory + uint64(rapid.IntRange(1, 20).Draw(w.T, "most"))*roomStep
	}
	return r
}

// begin begins a job; nil where what is promised to it is not there.
func (w *world) begin(r Request) *played {
	r.Name, r.Mode, r.Compute, r.Hold = "x", "fair", 10, &Hold{By: fmt.Sprint(len(w.jobs))}
	take := w.a.ledger.Take
	if r.Policy == Borrow {
		take = w.a.ledger.Lend
	}
	id := w.a.newID()
	promised, err := take(id, parts.Ask{Devices: r.Devices, Memory: r.Memory, Compute: r.Compute})
	if err != nil {
		return nil
	}
	j := &job{id: id, request: r, parts: promised, most: w.a.most(r, promised), seats: make([]seat, len(promised)), gone: make([]past, len(promised)),
		recent: make([]recent, len(promised)), pages: &wire.Pages{Rules: new(wire.Rules), Cells: new(wire.CellTable)}}
	if r.Policy != Never {
		j.stay.ready, j.stay.arena, j.stay.reserved = true, &wire.Arena{}, 1
	}
	w.a.placeFirst(j)
	for i := range j.parts {
		j.pages.Rules.Device[i].MemoryLimit.Store(j.firstLimit(i))
	}
	j.pages.Rules.Place.Store(j.stay.place)
	j.cells[0] = &process{}
	p := &played{j, &j.pages.Cells.Cell[0], make([]uint64, len(promised)), make([]bool, len(promised))}
	p.cell.Placed.Store(j.stay.place)
	w.a.jobs[j.id] = j
	w.jobs = append(w.jobs, p)
	return p
}

func (w *world) some(label string) *played {
	if len(w.jobs) == 0 {
		w.Skip("nobody is there")
	}
	return rapid.SampledFrom(w.jobs).Draw(w.T, label)
}

// open reports whether a job's process may touch its memory.
func (p *played) open() bool {
	return !out(p.pages.Rules.Place.Load()) && p.cell.Placed.Load() == p.pages.Rules.Place.Load()
}

// wishes writes down what it wants, reads the limit, and lets it be decided.
// What cannot be swapped may be taken by one that has looked before it went out.
func (p *played) wishes(part int, bytes uint64, swappable bool) {
	use, r := &p.cell.Device[part], &p.pages.Rules.Device[part]
	if p.wish[part] > 0 || (swappable || p.request.Policy != Lend) && !p.open() {
		return
	}
	promised := uint64(0)
	if !p.borrows() {
		promised = p.parts[part].Memory
	}
	use.Wanted.Store(bytes)
	limit := r.MemoryLimit.Load()
	if !swappable && p.request.Policy != Never {
		limit = min(limit, promised)
	}
	all := use.Charged.Load() + bytes
	switch {
	case all <= limit:
		p.wish[part], p.fits[part] = bytes, swappable
	case limit < promised && all <= promised:
		use.Wanted.Store(0)
		p.cell.Lacks[part].Store(uint32((bytes + wire.Chunk - 1) / wire.Chunk))
	default:
		use.Wanted.Store(0)
	}
}

// charges lets a wish be a charge.
func (p *played) charges(part int) {
	use := &p.cell.Device[part]
	use.Charged.Add(p.wish[part])
	if p.fits[part] {
		use.Swappable.Add(p.wish[part])
	}
	use.Wanted.Store(0)
	p.wish[part] = 0
}

// free gives back what can be swapped.
func (p *played) free(part int, bytes uint64) {
	use := &p.cell.Device[part]
	bytes = min(bytes, use.Swappable.Load())
	use.Swapped.Store(use.Swapped.Load() - min(use.Swapped.Load(), bytes))
	use.Swappable.Add(-bytes)
	use.Charged.Add(-bytes)
}

// again lets who waits for what was promised try again.
func (p *played) again() {
	for i := range p.parts {
		use := &p.cell.Device[i]
		bytes := uint64(p.cell.Lacks[i].Load()) * wire.Chunk
		if bytes == 0 || p.wish[i] > 0 || !p.open() {
			continue
		}
		if all := use.Charged.Load() + bytes; all <= p.limit(i) || all > p.parts[i].Memory {
			p.cell.Lacks[i].Store(0)
			p.wishes(i, bytes, true)
		}
	}
}

// moves does what the rules say of a job's place.
func (p *played) moves() {
	place := p.pages.Rules.Place.Load()
	if p.cell.Placed.Load() == place {
		return
	}
	for i := range p.parts {
		use := &p.cell.Device[i]
		if p.wish[i] > 0 && p.fits[i] {
			p.charges(i) // nothing that can be swapped is on its way when all has gone
		}
		use.Swapped.Store(0)
		if out(place) {
			use.Swapped.Store(use.Swappable.Load())
		}
	}
	if !out(place) {
		p.cell.Asleep.Store(0)
	}
	p.cell.Placed.Store(place)
}

func (w *world) end(p *played) {
	delete(w.a.jobs, p.id)
	w.a.ledger.Drop(p.id)
	w.jobs = slices.DeleteFunc(w.jobs, func(q *played) bool { return q == p })
}

// reach is what a job has of a device or takes unasked, whatever the agent
// thinks of it.
func (p *played) reach(part int) uint64 {
	use := &p.cell.Device[part]
	has := use.Charged.Load() + p.wish[part]
	if place := p.pages.Rules.Place.Load(); !out(place) || p.cell.Placed.Load() != place {
		return max(has, p.limit(part))
	}
	has -= use.Swapped.Load()
	if p.request.Policy != Lend {
		return has
	}
	return has + p.limit(part) - min(p.limit(part), use.Charged.Load()+p.wish[part])
}

func (w *world) String() string {
	text := ""
	for _, p := range w.jobs {
		text += fmt.Sprintf("\n%s %s %s priority %d", p.id, p.request.Policy, p.state(), p.request.Priority)
		for i, part := range p.parts {
			use := &p.cell.Device[i]
			text += fmt.Sprintf(", of device %d: %d promised, up to %d, limit %d, charged %d, swapped %d, wanted %d, lacks %d",
				part.Device, part.Memory>>20, p.request.Most>>20, p.limit(i)>>20, use.Charged.Load()>>20,
				use.Swapped.Load()>>20, p.wish[i]>>20, p.lacks(i)>>20)
		}
	}
	return text
}

// actions are what can happen.
func (w *world) actions() map[string]func(*rapid.T) {
	bytes := func() uint64 { return uint64(rapid.IntRange(1, 20).Draw(w.T, "bytes")) * roomStep }
	part := func(p *played) int { return rapid.IntRange(0, len(p.parts)-1).Draw(w.T, "part") }
	return map[string]func(*rapid.T){
		"begin": func(*rapid.T) { w.begin(w.drawn()) },
		"wish": func(*rapid.T) {
			p := w.some("who")
			p.wishes(part(p), bytes(), p.request.Policy != Never && rapid.IntRange(0, 4).Draw(w.T, "kind") > 0)
		},
		"charge": func(*rapid.T) { p := w.some("who"); p.charges(part(p)) },
		"again":  func(*rapid.T) { w.some("who").again() },
		"free":   func(*rapid.T) { p := w.some("who"); p.free(part(p), bytes()) },
		"work": func(*rapid.T) {
			if p := w.some("who"); p.open() {
				p.cell.Device[0].Launches.Add(1)
			} else {
				p.cell.Asleep.Store(1)
			}
		},
		"move":  func(*rapid.T) { w.some("who").moves() },
		"time":  func(*rapid.T) { w.t += rapid.Int64Range(1, int64(6*time.Second)).Draw(w.T, "ns") },
		"end":   func(*rapid.T) { w.end(w.some("who")) },
		"stuck": func(*rapid.T) { p := w.some("who"); w.a.unmoved(p.job, p.pages.Rules.Place.Load(), "it was drawn") },
		"by hand": func(*rapid.T) {
			_ = w.a.swap(w.some("who").id, 0, rapid.SampledFrom([]string{In, Out}).Draw(w.T, "where"))
		},
		"": func(*rapid.T) {
			w.check()
			w.a.arrange()
			w.check()
		},
	}
}

// writes has somebody write in cells all the while, until it is stopped.
func writes(step func(n uint64)) (stop func()) {
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := uint64(0); ; n++ {
			select {
			case <-end:
				return
			default:
				step(n)
			}
		}
	}()
	return func() { close(end); <-done }
}
