package show

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/sched"
)

// Event is something that happened to a workload or to one of its pods.
type Event struct {
	Time    time.Time `json:"time"`
	Object  string    `json:"object"` // "Pod train-0"
	Warning bool      `json:"warning,omitempty"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Count   int       `json:"count,omitempty"`
}

// Describe writes all that is known of one workload.
func Describe(w io.Writer, p text.Palette, wl snapshot.Workload, events []Event, now time.Time) error {
	f := text.Fields{}
	f.Add("Name", wl.Name)
	f.Add("Namespace", wl.Namespace)
	f.Add("Object", wl.Object)
	f.Add("Kind", string(wl.Kind))
	f.Add("Project", wl.Project)
	f.Add("Status", p.Apply(paints[wl.Status], status(wl).Text))
	f.Add("Message", sentence(wl.Message))
	if wl.Position > 0 {
		f.Add("Queue", fmt.Sprintf("place %d in the project", wl.Position))
	}
	f.Add("Pods", podsLine(wl))
	f.Add("GPUs", gpus(wl))
	f.Add("Priority", fmt.Sprint(wl.Priority))
	f.Add("Preemptible", yes(wl.Preemptible))
	f.Add("Min runtime", wl.MinRuntime)
	f.Add("Node pools", strings.Join(wl.NodePools, ", then "))
	f.Add("Submitted", age(now, wl.Submitted))
	if err := f.Write(w, p); err != nil {
		return err
	}
	if err := describePods(w, p, wl, now); err != nil {
		return err
	}
	return describeEvents(w, p, events, now)
}

func podsLine(wl snapshot.Workload) string {
	s := fmt.Sprintf("%d of %d placed", placed(wl), len(wl.Pods))
	if wl.Min > 1 {
		s += fmt.Sprintf(", %d start together", wl.Min)
	}
	return s
}

func age(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s ago (%s)", since(now, t), t.UTC().Format(time.RFC3339))
}

func describePods(w io.Writer, p text.Palette, wl snapshot.Workload, now time.Time) error {
	if len(wl.Pods) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := text.NewTable("POD", "PHASE", "NODE", "DEVICES", "PLACED")
	for _, pod := range wl.Pods {
		phase := pod.Phase
		if pod.Leaving {
			phase = "Leaving"
		}
		t.Add(pod.Name, phase, pod.Node, Devices(pod.Devices), since(now, pod.Since))
	}
	return t.Write(w, p)
}

func describeEvents(w io.Writer, p text.Palette, events []Event, now time.Time) error {
	if len(events) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	t := text.NewTable("EVENT", "AGE", "OBJECT", "MESSAGE")
	for _, e := range events {
		paint := text.Plain
		if e.Warning {
			paint = text.Warn
		}
		message := e.Message
		if e.Count > 1 {
			message += fmt.Sprintf(" (%d times)", e.Count)
		}
		t.AddCells(text.Cell{Text: e.Reason, Paint: paint}, text.Cell{Text: since(now, e.Time)},
			text.Cell{Text: e.Object}, text.Cell{Text: message})
	}
	return t.Write(w, p)
}

// Devices says which parts of which devices are held: "gpu-0,gpu-1", or
// "gpu-3 (40Gi, 50% compute)". Neighbours in name and equal in size are
// written as a range: "gpu-0..7".
func Devices(shares []snapshot.Share) string {
	if len(shares) > 0 && shares[0].Device == "" {
		return quantity.Count(len(shares), "GPU") // which ones only the node's device plugin knows
	}
	var parts []string
	for i := 0; i < len(shares); {
		n := run(shares[i:])
		name := shares[i].Device
		if n > 2 {
			_, last := number(shares[i+n-1].Device)
			name = fmt.Sprintf("%s..%d", name, last)
		} else {
			n = 1
		}
		parts = append(parts, name+size(shares[i]))
		i += n
	}
	return strings.Join(parts, ",")
}

// size tells the size of a share that is not a whole device.
func size(s snapshot.Share) string {
	if s.ComputeMilli >= sched.WholeCompute || s.ComputeMilli == 0 && s.MemoryMiB == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s, %s%% compute)", quantity.MiB(s.MemoryMiB), percent(s.ComputeMilli))
}

// percent prints milli as per cent.
func percent(milli int64) string {
	if milli%10 == 0 {
		return fmt.Sprint(milli / 10)
	}
	return fmt.Sprintf("%d.%d", milli/10, milli%10)
}

// run is how many shares from the first on are neighbours of equal size.
func run(shares []snapshot.Share) int {
	prefix, first := number(shares[0].Device)
	if first < 0 {
		return 1
	}
	n := slices.IndexFunc(shares, func(s snapshot.Share) bool {
		p, k := number(s.Device)
		i := k - first
		return p != prefix || i < 0 || i >= len(shares) || shares[i] != s || size(s) != size(shares[0])
	})
	if n < 0 {
		return len(shares)
	}
	return n
}

// number splits the number off the end of a device's name; -1 if there is
// none.
func number(name string) (prefix string, n int) {
	prefix = strings.TrimRight(name, "0123456789")
	if prefix == name || len(name)-len(prefix) > 6 {
		return name, -1
	}
	for _, c := range name[len(prefix):] {
		n = n*10 + int(c-'0')
	}
	return prefix, n
}
