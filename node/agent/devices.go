package agent

import (
	"context"
	"slices"
	"time"

	"github.com/weir-gpu/weir/node/health"
	"github.com/weir-gpu/weir/node/parts"
)

// lookAfterDevices asks the driver for its devices until ctx ends. Jobs on one
// that is lost are left to the driver, which fails what they ask of it.
func (a *Agent) lookAfterDevices(ctx context.Context) {
	book := health.New(a.opts.Devices)
	tick := time.NewTicker(a.opts.LookEvery)
	defer tick.Stop()
	for { // at once, as some may have been lost while no agent looked
		there, err := a.opts.Look(ctx)
		if ctx.Err() != nil {
			return
		}
		for _, d := range book.Answer(there, err) {
			state := book.Of(d)
			a.log.Warn("a device's health has changed", "device", d.Ordinal, "healthy", state == health.Well,
				"lost", state == health.Lost, "driver", err)
			i := slices.IndexFunc(a.opts.Devices, func(o parts.Device) bool { return o.UUID == d.UUID })
			a.post(func() { a.ledger.Lose(i, state == health.Lost) })
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
