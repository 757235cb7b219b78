// Package health says how devices are, from what a driver answers when it is
// asked for them again and again. It asks nobody itself, and does not know why
// a device is gone.
package health

import (
	"errors"

	"github.com/weir-gpu/weir/node/discover"
	"github.com/weir-gpu/weir/node/parts"
)

// State is how a device is.
type State int

const (
	Well   State = iota
	Unsure       // the driver did not name it, or did not answer, the last time
	Lost         // the driver answered twice and did not name it; it may come back
)

// lostAfter is how often a driver that answers has not to name a device until it
// is lost. Who runs there may be stopped then: that is not done for one answer,
// nor for a driver that does not answer.
const lostAfter = 2

// Book is how the devices of a machine are. It is for one goroutine.
type Book struct {
	devices []parts.Device
	missed  map[string]int // by UUID: how often in a row
}

// New returns a book in which all devices are well.
func New(devices []parts.Device) *Book { return &Book{devices: devices, missed: map[string]int{}} }

// Of is how a device is.
func (b *Book) Of(d parts.Device) State {
	switch n := b.missed[d.UUID]; {
	case n == 0:
		return Well
	case n < lostAfter:
		return Unsure
	}
	return Lost
}

// Answer takes in what the driver has answered, and returns the devices that
// changed.
func (b *Book) Answer(there []parts.Device, err error) (changed []parts.Device) {
	answered := err == nil || errors.Is(err, discover.ErrNone)
	found := map[string]bool{}
	for _, d := range there {
		found[d.UUID] = true
	}
	for _, d := range b.devices {
		before, now := b.missed[d.UUID], 0
		switch {
		case found[d.UUID]:
		case answered:
			now = min(before+1, lostAfter)
		default:
			now = max(before, 1)
		}
		if b.missed[d.UUID] = now; now != before {
			changed = append(changed, d)
		}
	}
	return changed
}
