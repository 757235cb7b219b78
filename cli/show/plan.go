package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/kube/plan/result"
)

// Plan prints what the scheduler would do: what happens in order, then who
// waits.
func Plan(w io.Writer, p text.Palette, pl *result.Plan) error {
	if len(pl.Decisions) > 0 {
		t := text.NewTable("ACTION", "POD", "NODE", "DEVICES", "WHY")
		for _, d := range pl.Decisions {
			t.AddCells(text.Cell{Text: d.Action, Paint: actionPaint(d.Action)}, text.Cell{Text: d.Pod},
				text.Cell{Text: d.Node}, text.Cell{Text: planDevices(d.Devices)}, text.Cell{Text: whyPlanned(d)})
		}
		if err := t.Write(w, p); err != nil {
			return err
		}
	}
	if len(pl.Waiting) > 0 {
		if len(pl.Decisions) > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		t := text.NewTable("WAITS", "REASON", "MESSAGE")
		for _, x := range pl.Waiting {
			t.Add(x.Workload, x.Reason, x.Message)
		}
		if err := t.Write(w, p); err != nil {
			return err
		}
	}
	if len(pl.Decisions)+len(pl.Waiting) > 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, "nothing to do, and nothing waits")
	return err
}

func actionPaint(action string) text.Paint {
	switch action {
	case "start":
		return text.Good
	case "evict":
		return text.Bad
	}
	return text.Warn
}

func whyPlanned(d result.Decision) string {
	switch {
	case d.For != "":
		return d.Rule + " for " + d.For
	case len(d.After) > 0:
		return "after " + strings.Join(d.After, ", ") + " left"
	}
	return ""
}

// planDevices names devices like [Devices]. A whole device has all of its
// compute.
func planDevices(devices []result.Device) string {
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = d.Device
		if d.ComputeMilli < 1000 {
			names[i] += fmt.Sprintf(" (%s, %s%% compute)", quantity.MiB(d.MemoryMiB), percent(d.ComputeMilli))
		}
	}
	return strings.Join(names, ",")
}
