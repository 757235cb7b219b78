package wire

import "math/bits"

// What a process has of a device beyond what its cell charges is one word: the
// number of its contexts when it was measured, and bytes. They are read and
// written at once.
const (
	beyondBits = 56
	// MostContexts is how many there may be where something is measured.
	MostContexts = 1<<(64-beyondBits) - 1
)

// SetBeyond says what was measured of a cell's process, which had so many
// contexts then.
func (r *Rules) SetBeyond(device, cell int, contexts uint32, bytes uint64) {
	r.beyond[device][cell].Store(uint64(min(contexts, MostContexts))<<beyondBits | min(bytes, 1<<beyondBits-1))
}

// Beyond is what a process with so many contexts has of a device beyond what
// its cell charges: what was measured, and what is expected of contexts that
// were made since. It is weir_beyond of wire.h.
func (r *Rules) Beyond(device, cell int, contexts uint32) uint64 {
	word, each := r.beyond[device][cell].Load(), r.Device[device].Context.Load()
	bytes, then := word&(1<<beyondBits-1), word>>beyondBits
	if uint64(contexts) < then {
		less := (then - uint64(contexts)) * each
		return bytes - min(bytes, less)
	}
	over, more := bits.Mul64(uint64(contexts)-then, each)
	sum, carry := bits.Add64(bytes, more, 0)
	if over+carry > 0 {
		return 1<<64 - 1
	}
	return sum
}

// Measured is what was measured last, with whatever contexts.
func (r *Rules) Measured(device, cell int) uint64 {
	return r.beyond[device][cell].Load() & (1<<beyondBits - 1)
}
