// Package parts is the ledger of a node's devices: what each has, and who was
// promised how much of it. It gives parts exactly or not at all, in integers,
// and says what is missing. It is for one goroutine.
package parts

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// Whole is the compute of a device, in thousandths.
const Whole = 1000

// Device is a GPU of the node.
type Device struct {
	UUID    string `json:"uuid"`
	Name    string `json:"name"`
	Ordinal int    `json:"ordinal"` // the driver's number
	Memory  uint64 `json:"memory"`  // bytes that programs may have
}

// Bytes returns the UUID as the driver has it; all zero where it is none.
func (d Device) Bytes() (b [16]byte) {
	text := strings.ReplaceAll(strings.TrimPrefix(d.UUID, "GPU-"), "-", "")
	if n, err := hex.Decode(b[:], []byte(text)[:min(len(text), 2*len(b))]); err != nil || n != len(b) {
		return [16]byte{}
	}
	return b
}

// Ask is what a job asks of each of its devices. Memory and compute of which
// none is asked for are the same part of a device as the other is.
type Ask struct {
	Devices int    // how many, each another one
	Memory  uint64 // bytes
	Compute int64  // thousandths
	// Contexts is what one context takes, by device: it is promised to those too who are promised nothing else, as
	// it cannot be taken back from them. nil where that is not known.
	Contexts []uint64
}

// context is what a context takes of a device.
func (a Ask) context(i int) uint64 {
	if i < len(a.Contexts) {
		return a.Contexts[i]
	}
	return 0
}

// of returns what is asked of a device.
func (a Ask) of(i int, d Device) Part {
	p := Part{Device: i, Memory: a.Memory, Compute: a.Compute}
	switch {
	case a.Memory == 0:
		hi, lo := bits.Mul64(d.Memory, uint64(a.Compute))
		p.Memory, _ = bits.Div64(hi, lo, Whole)
	case a.Compute == 0:
		hi, lo := bits.Mul64(min(a.Memory, d.Memory), Whole)
		q, rest := bits.Div64(hi, lo, d.Memory)
		if p.Compute = int64(q); rest > 0 {
			p.Compute++
		}
	}
	return p
}

// Part is what was promised of one device.
type Part struct {
	Device  int    `json:"device"` // index into the node's devices
	Memory  uint64 `json:"memory"`
	Compute int64  `json:"compute"`
	// Context is what is promised to who was lent the rest.
	Context uint64 `json:"context,omitempty"`
}

// Ledger is the devices and who has what of them.
type Ledger struct {
	devices []Device
	held    map[string][]Part
	lent    map[string][]Part // to those who were promised nothing
	lost    map[int]bool      // devices of which nothing is given
}

// New returns the ledger of devices of which nobody has anything.
func New(devices []Device) *Ledger {
	return &Ledger{devices: slices.Clone(devices), held: map[string][]Part{}, lent: map[string][]Part{}, lost: map[int]bool{}}
}

// Devices returns the devices.
func (l *Ledger) Devices() []Device { return slices.Clone(l.devices) }

// Lose says whether a device is lost. What was promised of it stays promised;
// nothing more is.
func (l *Ledger) Lose(device int, lost bool) { l.lost[device] = lost }

// Lost reports whether a device is lost.
func (l *Ledger) Lost(device int) bool { return l.lost[device] }

// Held returns what a holder has; nil when it has nothing.
func (l *Ledger) Held(id string) []Part { return slices.Clone(l.held[id]) }

// Lent returns what a holder may have of what others leave.
func (l *Ledger) Lent(id string) []Part { return slices.Clone(l.lent[id]) }

// Free returns what nobody was promised of a device.
func (l *Ledger) Free(device int) Part {
	free := Part{Device: device, Memory: l.devices[device].Memory, Compute: Whole}
	for _, parts := range l.lent {
		for _, p := range parts {
			if p.Device == device {
				free.Memory -= p.Context
			}
		}
	}
	for _, parts := range l.held {
		for _, p := range parts {
			if p.Device == device {
				free.Memory -= p.Memory
				free.Compute -= p.Compute
			}
		}
	}
	return free
}

func (l *Ledger) free() (all []Part) {
	for i := range l.devices {
		all = append(all, l.Free(i))
	}
	return all
}

// A TooLittleError says why an ask cannot be had now.
type TooLittleError struct {
	Ask     Ask
	Devices []Device
	Free    []Part       // of each device
	Lost    map[int]bool // devices that are lost
}

func (e *TooLittleError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d GPUs must have", e.Ask.Devices, len(e.Devices))
	for i, d := range e.Devices {
		want, has := e.Ask.of(i, d), e.Free[i]
		if i > 0 {
			b.WriteByte(',')
		}
		if e.Lost[i] {
			fmt.Fprintf(&b, " GPU %d not be lost", i)
			continue
		}
		fmt.Fprintf(&b, " GPU %d %d MiB of memory and %d thousandths of compute free, where %d and %d are",
			i, want.Memory>>20, want.Compute, has.Memory>>20, has.Compute)
	}
	b.WriteString(": wait until a job ends, or ask for less")
	return b.String()
}

// A NoContextError says why who is promised nothing else cannot be lent anything
// now: what cannot be taken back of it is promised to others.
type NoContextError struct{ Want, Devices, Have int }

func (e *NoContextError) Error() string {
	return fmt.Sprintf("%d of %d GPUs must have memory for one context that nobody was promised, and %d have: "+
		"wait until a job ends, or ask for less", e.Want, e.Devices, e.Have)
}

// Check returns an error for what no device could ever give.
func (l *Ledger) Check(a Ask) error {
	switch {
	case a.Devices < 1 || a.Devices > len(l.devices):
		return fmt.Errorf("%d devices are asked for, and there are %d: ask for 1 to %d", a.Devices, len(l.devices), len(l.devices))
	case a.Compute < 0 || a.Compute > Whole:
		return fmt.Errorf("%d thousandths of compute are asked for: ask for 1 to %d", a.Compute, Whole)
	case a.Compute == 0 && a.Memory == 0:
		return errors.New("neither memory nor compute is asked for: ask for some")
	}
	large := 0
	most := uint64(0)
	for _, d := range l.devices {
		if most = max(most, d.Memory); d.Memory >= a.Memory {
			large++
		}
	}
	if large < a.Devices {
		return fmt.Errorf("%d MiB of memory are asked for on %d devices, and %d have so much: ask for up to %d MiB",
			a.Memory>>20, a.Devices, large, most>>20)
	}
	return nil
}

// Take promises an ask to a holder, on the devices that have least left and
// can give it. The error is a [TooLittleError] when it cannot be had now.
func (l *Ledger) Take(id string, a Ask) ([]Part, error) {
	if err := l.Check(a); err != nil {
		return nil, err
	}
	if len(l.held[id]) > 0 {
		return nil, fmt.Errorf("%s has its parts already", id)
	}
	var fit []Part // what is left now
	free := l.free()
	for i, d := range l.devices {
		if want := a.of(i, d); !l.lost[i] && free[i].Memory >= want.Memory && free[i].Compute >= want.Compute {
			fit = append(fit, free[i])
		}
	}
	if len(fit) < a.Devices {
		return nil, &TooLittleError{a, l.Devices(), free, maps.Clone(l.lost)}
	}
	slices.SortStableFunc(fit, func(x, y Part) int {
		return cmp.Or(cmp.Compare(x.Compute, y.Compute), cmp.Compare(x.Memory, y.Memory))
	})
	var parts []Part
	for _, f := range fit[:a.Devices] {
		parts = append(parts, a.of(f.Device, l.devices[f.Device]))
	}
	slices.SortFunc(parts, func(x, y Part) int { return cmp.Compare(x.Device, y.Device) })
	l.held[id] = parts
	return slices.Clone(parts), nil
}

// Lend says which parts of devices a holder may have of what others leave, on
// the devices of which least is held and lent. It takes nothing from what is
// free but for a context of each.
func (l *Ledger) Lend(id string, a Ask) ([]Part, error) {
	if err := l.Check(a); err != nil {
		return nil, err
	}
	if len(l.held[id])+len(l.lent[id]) > 0 {
		return nil, fmt.Errorf("%s has its parts already", id)
	}
	busy := make([]Part, len(l.devices))
	order := make([]int, 0, len(l.devices))
	large := 0
	for i, d := range l.devices {
		if !l.lost[i] && d.Memory >= a.of(i, d).Memory {
			large++
			if l.Free(i).Memory >= a.context(i) {
				order = append(order, i)
			}
		}
		for _, all := range []map[string][]Part{l.held, l.lent} {
			for _, parts := range all {
				for _, p := range parts {
					if p.Device == i {
						busy[i].Compute += p.Compute
						busy[i].Memory += p.Memory
					}
				}
			}
		}
	}
	if large < a.Devices {
		return nil, &TooLittleError{a, l.Devices(), l.free(), maps.Clone(l.lost)}
	}
	if len(order) < a.Devices {
		return nil, &NoContextError{a.Devices, len(l.devices), len(order)}
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Or(cmp.Compare(busy[x].Compute, busy[y].Compute), cmp.Compare(busy[x].Memory, busy[y].Memory))
	})
	var parts []Part
	for _, i := range order[:a.Devices] {
		p := a.of(i, l.devices[i])
		p.Context = a.context(i)
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(x, y Part) int { return cmp.Compare(x.Device, y.Device) })
	l.lent[id] = parts
	return slices.Clone(parts), nil
}

// GiveLent takes over what a holder was lent by an earlier agent.
func (l *Ledger) GiveLent(id string, parts []Part) error {
	seen := map[int]bool{}
	for _, p := range parts {
		if p.Device < 0 || p.Device >= len(l.devices) || seen[p.Device] || p.Compute < 1 ||
			p.Memory > l.devices[p.Device].Memory || p.Context > l.Free(p.Device).Memory {
			return fmt.Errorf("%s says that it has a part that cannot be: %+v", id, p)
		}
		seen[p.Device] = true
	}
	l.lent[id] = slices.Clone(parts)
	return nil
}

// Promise makes what a holder was promised of a device beside what it was lent
// as large as one context; it reports whether that is there.
func (l *Ledger) Promise(id string, device int, context uint64) bool {
	for i := range l.lent[id] {
		p := &l.lent[id][i]
		if p.Device == device && context > p.Context && context-p.Context <= l.Free(device).Memory {
			p.Context = context
			return true
		}
	}
	return false
}

// Give takes over what a holder has by an earlier promise, as after a restart.
func (l *Ledger) Give(id string, parts []Part) error {
	if len(l.held[id]) > 0 {
		return fmt.Errorf("%s has its parts already", id)
	}
	seen := map[int]bool{}
	for _, p := range parts {
		if p.Device < 0 || p.Device >= len(l.devices) || seen[p.Device] || p.Compute < 1 {
			return fmt.Errorf("%s says that it has a part that cannot be: %+v", id, p)
		}
		seen[p.Device] = true
		if f := l.Free(p.Device); f.Memory < p.Memory || f.Compute < p.Compute {
			return fmt.Errorf("%s says that it has more of GPU %d than is left", id, p.Device)
		}
	}
	l.held[id] = slices.Clone(parts)
	return nil
}

// Drop ends a holder's promise.
func (l *Ledger) Drop(id string) {
	delete(l.held, id)
	delete(l.lent, id)
}

// Holders returns who has anything, in order.
func (l *Ledger) Holders() []string { return slices.Sorted(maps.Keys(l.held)) }
