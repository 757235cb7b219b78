package show

import (
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/sched"
)

// Explained is a [sched.Explanation] as `weir explain -o json` prints it.
type Explained struct {
	Workload string       `json:"workload"`
	Owner    string       `json:"owner"`
	Reason   sched.Reason `json:"reason"`
	Message  string       `json:"message"`
	Position int          `json:"position,omitempty"` // in the queue of its owner, from 1
	Waiting  int          `json:"waiting,omitempty"`  // how many wait there
	Asked    string       `json:"asked,omitempty"`
	Findings []Finding    `json:"findings,omitempty"`
	Holders  []Holder     `json:"holders,omitempty"`
	Offers   []Offer      `json:"offers,omitempty"`
}

// Finding is a [sched.Finding]. Need and Have are in Unit.
type Finding struct {
	Reason   sched.Reason `json:"reason,omitempty"`
	OK       bool         `json:"ok"`
	Where    string       `json:"where"`
	Message  string       `json:"message,omitempty"`
	Unit     string       `json:"unit,omitempty"`
	Need     int64        `json:"need,omitempty"`
	Have     int64        `json:"have,omitempty"`
	Children []Finding    `json:"children,omitempty"`
}

// Holder is a [sched.Holder].
type Holder struct {
	Workload string        `json:"workload"`
	Owner    string        `json:"owner"`
	GPUs     snapshot.GPUs `json:"gpus"`
	Why      string        `json:"why"`
}

// Offer is a [sched.Offer].
type Offer struct {
	Message  string        `json:"message"`
	Pods     int           `json:"pods,omitempty"`
	Devices  int           `json:"devices,omitempty"`
	Fraction snapshot.GPUs `json:"fraction,omitempty"` // of each device; absent for whole ones
	Model    string        `json:"model,omitempty"`
	// Preemptible says that the offer is to make it preemptible.
	Preemptible bool `json:"preemptible,omitempty"`
}

// NewExplained converts what the engine says.
func NewExplained(ex sched.Explanation) Explained {
	e := Explained{
		Workload: ex.Workload, Owner: ex.Owner, Reason: ex.Reason, Message: ex.Message,
		Position: ex.Position, Waiting: ex.Waiting, Asked: ex.Asked, Findings: findingsOf(ex.Findings),
	}
	for _, h := range ex.Holders {
		e.Holders = append(e.Holders, Holder{h.Workload, h.Owner, snapshot.GPUs(h.GPU), h.Why})
	}
	for _, o := range ex.Offers {
		e.Offers = append(e.Offers, Offer{o.Message, o.Pods, o.Devices, snapshot.GPUs(o.Fraction), o.Model, o.Preemptible})
	}
	return e
}

func findingsOf(list []sched.Finding) []Finding {
	var findings []Finding
	for _, f := range list {
		findings = append(findings, Finding{f.Reason, f.OK, f.Where, f.Message, f.Unit, f.Need, f.Have,
			findingsOf(f.Children)})
	}
	return findings
}
