package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/text"
)

// Plan is what the scheduler would do. Its JSON is documented in
// docs/reference/plan.md.
type Plan struct {
	Decisions []PlanDecision `json:"decisions"`
	Waiting   []PlanWaiting  `json:"waiting"`
	// Notes are about the input, for people: what was left out or assumed.
	Notes []string `json:"-"`
}

// PlanDecision is one step of a plan.
type PlanDecision struct {
	Action  string       `json:"action"` // start, evict or move
	Pod     string       `json:"pod"`
	Node    string       `json:"node,omitempty"`
	Devices []PlanDevice `json:"devices,omitempty"`
	After   []string     `json:"after,omitempty"` // pods that have to leave first
	For     string       `json:"for,omitempty"`   // the workload that it makes room for
	Rule    string       `json:"rule,omitempty"`  // reclaim, preempt or consolidate
}

// PlanDevice is a part of a device that a pod gets.
type PlanDevice struct {
	Device       string `json:"device"`
	MemoryMiB    int64  `json:"memoryMiB"`
	ComputeMilli int64  `json:"computeMilli"`
}

// PlanWaiting is a workload that would not start.
type PlanWaiting struct {
	Workload string `json:"workload"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
}

// Write prints the plan: what happens in order, then who waits.
func (pl Plan) Write(w io.Writer, p text.Palette) error {
	if len(pl.Decisions) > 0 {
		t := text.NewTable("ACTION", "POD", "NODE", "DEVICES", "WHY")
		for _, d := range pl.Decisions {
			t.AddCells(text.Cell{Text: d.Action, Paint: actionPaint(d.Action)}, text.Cell{Text: d.Pod},
				text.Cell{Text: d.Node}, text.Cell{Text: planDevices(d.Devices)}, text.Cell{Text: d.why()})
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

func (d PlanDecision) why() string {
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
func planDevices(devices []PlanDevice) string {
	names := make([]string, len(devices))
	for i, d := range devices {
		names[i] = d.Device
		if d.ComputeMilli < 1000 {
			names[i] += fmt.Sprintf(" (%s, %s%% compute)", quantity.MiB(d.MemoryMiB), percent(d.ComputeMilli))
		}
	}
	return strings.Join(names, ",")
}
