// Package wire is what the agent and the shim say to each other: the layout of
// the two pages of shared memory of a container, and of the messages on its
// socket. It is shim/wire.h in Go; a test compares the two. It maps memory and
// reads and writes words of it; what they mean is for who uses it.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	Magic   = 0x52494557
	Version = 3
	Devices = 16  // devices that a container may have
	Cells   = 256 // processes that it may have at a time
	// DeadAfter is how long the shim waits for a beat before it goes by turns,
	// in nanoseconds.
	DeadAfter = 2_000_000_000
)

// Mode says how a device's time is divided.
type Mode uint32

const (
	Free   Mode = iota // launches are not gated
	Strict             // never more than the share
	Fair               // the share, and what others leave
)

// Flags say what a container is told of its memory.
type Flags uint32

const (
	Moves     Flags = 1 << iota // its place may change
	Swappable                   // there is an arena
)

// Rule is one device, as the container may use it. Memory is in bytes, times
// are nanoseconds of CLOCK_MONOTONIC, the share is in thousandths.
type Rule struct {
	MemoryLimit                        atomic.Uint64 // changes with what others leave and want
	Ordinal                            uint32
	Share                              uint32
	Mode                               Mode
	Gate                               atomic.Uint32 // a futex word: odd while a lease runs
	LeaseUntil                         atomic.Uint64
	TurnPeriod, TurnOffset, TurnLength uint64
	UUID                               [16]byte
	// MemoryPromised is what is there when it is asked for, and may be such as cannot be swapped.
	MemoryPromised uint64
	Context        atomic.Uint64 // bytes that a context is expected to take
	Unseen         atomic.Uint64 // bytes of processes that have no cell
	_              [4]uint64
}

// Rules is what the agent writes and the container reads.
type Rules struct {
	Magic, Version uint32
	Devices        uint32
	IdleAfter      uint32 // microseconds
	Beat           atomic.Uint64
	Place          atomic.Uint32 // where all memory is to be: with the host where odd
	Flags          Flags
	Raised         atomic.Uint32 // a futex word: grows when a limit was raised for who waits for it
	_              uint32
	_              [3]uint64
	Device         [Devices]Rule
	live           [Cells / 4]atomic.Uint32 // one byte for each cell
	PID            [Cells]atomic.Uint32     // as the driver numbers processes
	beyond         [Devices][Cells]atomic.Uint64
}

// SetLive says whether a cell counts. Only the agent's one goroutine writes.
func (r *Rules) SetLive(cell int, live bool) {
	word, shift := &r.live[cell/4], byteShift(cell%4)
	next := word.Load() &^ (0xff << shift)
	if live {
		next |= 1 << shift
	}
	word.Store(next)
}

// Live reports whether a cell counts.
func (r *Rules) Live(cell int) bool { return r.live[cell/4].Load()>>byteShift(cell%4)&0xff != 0 }

// byteShift is where the nth byte in memory stands in a word.
func byteShift(n int) int {
	var probe [4]byte
	binary.NativeEndian.PutUint32(probe[:], 1)
	if probe[0] == 1 {
		return 8 * n
	}
	return 8 * (3 - n)
}

// Use is what one process has of one device: bytes, and nanoseconds.
type Use struct {
	Charged, Wanted, Launches, Busy atomic.Uint64
	Began, Ended, Hungry, Contexts  atomic.Uint32
	Swappable                       atomic.Uint64 // of Charged
	Swapped                         atomic.Uint64 // of Swappable: it takes nothing of the device
}

// Cell is what one process writes.
type Cell struct {
	Device [Devices]Use
	Placed atomic.Uint32 // the last place that all of its memory has reached
	Asleep atomic.Uint32 // it waits for its memory
	// Changes grows with each change of what is charged or swapped.
	Changes atomic.Uint32
	PID     atomic.Uint32 // as the process itself knows it
	_       [6]uint64
	Lacks   [Devices]atomic.Uint32 // chunks of what was promised that it waits for
}

// CellTable is what the processes of a container write, a cell each.
type CellTable struct{ Cell [Cells]Cell }

// Kind is what a message says.
type Kind uint32

const (
	Hello   Kind = iota + 1 // shim: Device is Magic, Lease is Version; Cell as in the header, with the cells it had
	Welcome                 // agent: Cell; with it come rules and cells
	Refused                 // agent: Text says why
	Want                    // shim: Device, and the Lease in which it still has work; it waits for a lease
	Done                    // shim: Device, Lease; its work of that lease is done
	Placed                  // shim: the place in Lease is reached
	Asleep                  // shim: it waits for its memory
	Unmoved                 // shim: the place in Lease cannot be reached; Text says why
	Lacks                   // shim: Device; it waits for memory that was promised
)

// OnlyLooks is what a process says in its hello that takes no memory.
const OnlyLooks = "looks"

// MessageSize is the length of each packet.
const MessageSize = 128

// Message is one packet.
type Message struct {
	Kind   Kind
	Device uint32
	Lease  uint32
	Cell   uint32
	Text   string // up to 111 bytes
}

// Append writes a message as a packet.
func (m *Message) Append(b []byte) []byte {
	order := binary.NativeEndian
	b = order.AppendUint32(b, uint32(m.Kind))
	b = order.AppendUint32(b, m.Device)
	b = order.AppendUint32(b, m.Lease)
	b = order.AppendUint32(b, m.Cell)
	var text [112]byte
	copy(text[:len(text)-1], m.Text)
	return append(b, text[:]...)
}

// Parse reads a packet.
func Parse(b []byte) (m Message, err error) {
	if len(b) != MessageSize {
		return m, fmt.Errorf("a packet has %d bytes: send %d", len(b), MessageSize)
	}
	order := binary.NativeEndian
	m = Message{Kind: Kind(order.Uint32(b)), Device: order.Uint32(b[4:]), Lease: order.Uint32(b[8:]), Cell: order.Uint32(b[12:])}
	text := b[16:]
	for i, c := range text {
		if c == 0 {
			m.Text = string(text[:i])
			return m, nil
		}
	}
	return m, errors.New("a packet's text does not end with a zero byte")
}

// Pages are the shared memory of one container, and the descriptors by which
// it is given to its processes. Close it when none of them is left.
type Pages struct {
	Rules                *Rules
	Cells                *CellTable
	RulesFile, CellsFile int
	rules, cells         []byte
}

// Identity is what a piece of memory is, whoever shows a descriptor of it.
type Identity struct{ Device, Inode uint64 }

// IdentityOf returns that of a descriptor's file.
func IdentityOf(fd int) (Identity, error) {
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return Identity{}, err
	}
	return Identity{s.Dev, s.Ino}, nil
}

// Adopt takes cells that an agent before this one has made in the place of its
// own, which nobody may have been given yet. The descriptor is its own then.
func (p *Pages) Adopt(fd int) error {
	size := int(unsafe.Sizeof(CellTable{}))
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil || s.Size != int64(size) {
		return fmt.Errorf("cells have %d bytes, not %d: %w", s.Size, size, err)
	}
	m, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	_ = unix.Munmap(p.cells)
	unix.Close(p.CellsFile)
	p.CellsFile, p.cells = fd, m
	p.Cells = (*CellTable)(unsafe.Pointer(&m[0]))
	return nil
}

// NewPages makes the memory of a container. name is seen in /proc only.
func NewPages(name string) (*Pages, error) {
	p := &Pages{RulesFile: -1, CellsFile: -1}
	var err error
	if p.RulesFile, p.rules, err = page(name+"-rules", int(unsafe.Sizeof(Rules{}))); err == nil {
		p.CellsFile, p.cells, err = page(name+"-cells", int(unsafe.Sizeof(CellTable{})))
	}
	if err == nil {
		// From here on nobody makes another mapping that can be written.
		_, err = unix.FcntlInt(uintptr(p.RulesFile), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE|unix.F_SEAL_SEAL)
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("making the shared memory of %s: %w", name, err)
	}
	p.Rules = (*Rules)(unsafe.Pointer(&p.rules[0]))
	p.Cells = (*CellTable)(unsafe.Pointer(&p.cells[0]))
	p.Rules.Magic, p.Rules.Version = Magic, Version
	return p, nil
}

// page makes memory of a fixed size and maps it.
func page(name string, size int) (fd int, memory []byte, err error) {
	if fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING); err != nil {
		return -1, nil, err
	}
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
	}
	if err == nil {
		memory, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, memory, nil
}

// Close gives the agent's part of the memory back. The pages must not be used
// any more.
func (p *Pages) Close() {
	for _, m := range [][]byte{p.rules, p.cells} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	for _, fd := range []int{p.RulesFile, p.CellsFile} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	*p = Pages{RulesFile: -1, CellsFile: -1}
}

// Wake wakes all who wait for a word to change, in whatever process.
func Wake(word *atomic.Uint32) {
	const wake = 1
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), wake, 1<<30, 0, 0, 0)
}
