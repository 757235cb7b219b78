package show

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/sched"
)

// placed counts the pods that have a place.
func placed(w snapshot.Workload) int {
	n := 0
	for _, p := range w.Pods {
		if p.Placed() {
			n++
		}
	}
	return n
}

// gpus says how many GPUs all pods of a workload ask for: "32", "0.5", or
// "4×10Gi" where only memory is named.
func gpus(w snapshot.Workload) string {
	var micro int64
	byMemory := map[int64]int{}
	for _, p := range w.Pods {
		a := p.Ask
		switch n := int64(a.Devices); {
		case a.Part.IsWhole():
			micro += n * sched.GPU
		case a.Part.Fraction > 0:
			micro += n * a.Part.Fraction
		default:
			byMemory[a.Part.MemoryMiB] += a.Devices
		}
	}
	var parts []string
	if micro > 0 || len(byMemory) == 0 && len(w.Pods) > 0 {
		parts = append(parts, quantity.GPUs(micro))
	}
	for mib, n := range byMemory {
		s := quantity.MiB(mib)
		if n > 1 {
			s = strconv.Itoa(n) + "×" + s
		}
		parts = append(parts, s)
	}
	slices.Sort(parts)
	return strings.Join(parts, "+")
}

// nodes says where a workload runs, shortly: "n1", "n1 and 3 more".
func nodes(w snapshot.Workload) string {
	var names []string
	for _, p := range w.Pods {
		if p.Placed() && !slices.Contains(names, p.Node) {
			names = append(names, p.Node)
		}
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return ""
	case 1, 2:
		return strings.Join(names, ",")
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

// status is the status with the reason of a wait.
func status(w snapshot.Workload) text.Cell {
	s := string(w.Status)
	if w.Status == snapshot.Waiting && w.Reason != "" {
		s += " (" + string(w.Reason) + ")"
	}
	return text.Cell{Text: s, Paint: paints[w.Status]}
}

var paints = map[snapshot.Status]text.Paint{
	snapshot.Running: text.Good, snapshot.Starting: text.Good,
	snapshot.Waiting: text.Warn, snapshot.Leaving: text.Warn,
	snapshot.Suspended: text.Dim, snapshot.Succeeded: text.Dim,
	snapshot.Failed: text.Bad,
}

// since is the age of a moment; "" where it is not known.
func since(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return quantity.Age(now.Sub(t))
}

// yes says a flag in a word.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// name is the name of a workload as people see it.
func name(w snapshot.Workload) string { return w.Namespace + "/" + w.Name }
