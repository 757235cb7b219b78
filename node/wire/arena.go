package wire

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Chunk is the size of what is swapped in one piece.
const Chunk = 2 << 20

// owners is more than the name of any process in a journal.
const owners = 4096

// Copy says which copies of a chunk there are.
type Copy uint32

const (
	Resident   Copy = iota // the device's
	CopyingOut             // the device's; the host's is being made
	Host                   // the host's
	CopyingIn              // the host's; the device's is being made
)

// Slot is a chunk's line in the journal.
type Slot struct {
	Owner   atomic.Uint32 // 0: nobody's
	State   atomic.Uint32 // a [Copy]
	Address uint64
}

// ArenaHead is the beginning of an arena.
type ArenaHead struct {
	Magic, Version uint32
	Chunks         uint32
	Ready          atomic.Uint32
	Start          uint64
	_              [5]uint64
}

// Arena is the memory of the host into which a container's is swapped, with its
// journal. What the container writes there is its own word.
type Arena struct {
	File   int
	Chunks int
	memory []byte
}

// ArenaSize is what an arena for so many bytes of memory takes of the host.
func ArenaSize(bytes uint64) uint64 {
	chunks := (bytes + Chunk - 1) / Chunk
	return arenaStart(chunks) + chunks*Chunk
}

func arenaStart(chunks uint64) uint64 {
	journal := uint64(unsafe.Sizeof(ArenaHead{})) + chunks*uint64(unsafe.Sizeof(Slot{}))
	return (journal + Chunk - 1) / Chunk * Chunk
}

// NewArena makes an arena for so many bytes. Its memory is there after Touch.
func NewArena(name string, bytes uint64) (*Arena, error) {
	fd, memory, err := page(name+"-arena", int(ArenaSize(bytes)))
	if err != nil {
		return nil, fmt.Errorf("making the arena of %s: %w", name, err)
	}
	a := &Arena{File: fd, Chunks: int((bytes + Chunk - 1) / Chunk), memory: memory}
	head := a.head()
	head.Magic, head.Version, head.Chunks = Magic, Version, uint32(a.Chunks)
	head.Start = arenaStart(uint64(a.Chunks))
	return a, nil
}

// AdoptArena takes an arena that an agent before this one has made, for so many
// bytes. The descriptor is its own then.
func AdoptArena(fd int, bytes uint64) (*Arena, error) {
	size := ArenaSize(bytes)
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil || s.Size != int64(size) {
		return nil, fmt.Errorf("an arena has %d bytes, not %d: %w", s.Size, size, err)
	}
	m, err := unix.Mmap(fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &Arena{File: fd, Chunks: int((bytes + Chunk - 1) / Chunk), memory: m}, nil
}

func (a *Arena) head() *ArenaHead { return (*ArenaHead)(unsafe.Pointer(&a.memory[0])) }

// Slots returns the journal.
func (a *Arena) Slots() []Slot {
	return unsafe.Slice((*Slot)(unsafe.Pointer(&a.memory[unsafe.Sizeof(ArenaHead{})])), a.Chunks)
}

// Touch takes all of the arena's memory from the machine, which takes a while,
// and says so in it. What is in it stays. It may be called from any goroutine,
// with the descriptor of an arena that is open meanwhile.
func Touch(file int) error {
	var s unix.Stat_t
	if err := unix.Fstat(file, &s); err != nil {
		return err
	}
	m, err := unix.Mmap(file, 0, int(s.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(m) }()
	// A piece at a time: who asks for much at once cannot be stopped.
	const piece = 64 << 20
	for at := 0; at < len(m); at += piece {
		if err := unix.Madvise(m[at:min(at+piece, len(m))], unix.MADV_POPULATE_WRITE); err != nil {
			return fmt.Errorf("taking %d bytes of the machine's memory: %w", len(m), err)
		}
	}
	(*ArenaHead)(unsafe.Pointer(&m[0])).Ready.Store(1)
	return nil
}

// Reap frees what is owned by processes that have ended. It reports whether
// any slot is owned still.
func (a *Arena) Reap() (owned bool) {
	dead := [owners]int8{} // 0: not asked yet; 1: it has ended; -1: it lives
	slots := a.Slots()
	for i := range slots {
		owner := slots[i].Owner.Load()
		if owner == 0 || owner >= owners {
			continue
		}
		if dead[owner] == 0 {
			dead[owner] = -1
			if a.lock(owner, unix.F_WRLCK) {
				dead[owner] = 1
			}
		}
		if dead[owner] > 0 {
			slots[i].Owner.Store(0)
		} else {
			owned = true
		}
	}
	for owner, state := range dead {
		if state > 0 {
			a.lock(uint32(owner), unix.F_UNLCK)
		}
	}
	return owned
}

func (a *Arena) lock(owner uint32, kind int16) bool {
	l := unix.Flock_t{Type: kind, Start: int64(owner), Len: 1}
	return unix.FcntlFlock(uintptr(a.File), unix.F_SETLK, &l) == nil
}

// Close gives the agent's part of the memory back.
func (a *Arena) Close() {
	_ = unix.Munmap(a.memory)
	unix.Close(a.File)
}
