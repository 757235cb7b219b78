package show

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/kube/workload"
	"github.com/weir-gpu/weir/sched"
)

// Nodes writes nodes, one a line.
func Nodes(w io.Writer, p text.Palette, list []snapshot.Node, wide bool) error {
	names := []string{"NAME", "POOL", "STATUS", "MODEL", ">GPUS", ">GRANTED", ">FREE", ">SHARED"}
	if wide {
		names = append(names, ">CPU", ">MEMORY", ">PODS", ">OTHERS", "PICKED BY")
	}
	t := text.NewTable(names...)
	for _, n := range list {
		t.AddCells(nodeRow(n, wide)...)
	}
	return t.Write(w, p)
}

func nodeRow(n snapshot.Node, wide bool) []text.Cell {
	var granted snapshot.GPUs
	free, shared := 0, 0
	for _, d := range n.Devices {
		granted += d.Granted
		switch {
		case d.Shared():
			shared++
		case len(d.Holdings) == 0 && !d.Unhealthy:
			free++
		}
	}
	row := []text.Cell{{Text: n.Name}, {Text: n.Pool}, nodeStatus(n), {Text: models(n)}}
	for _, s := range []string{strconv.Itoa(len(n.Devices)), quantity.About(int64(granted)),
		strconv.Itoa(free), strconv.Itoa(shared)} {
		row = append(row, text.Cell{Text: s})
	}
	if !wide {
		return row
	}
	picker := "Weir"
	if n.Counted {
		picker = "device plugin"
	}
	for _, s := range []string{
		quantity.CPUs(n.CPU.Used) + "/" + quantity.CPUs(n.CPU.Of),
		quantity.Bytes(n.Memory.Used) + "/" + quantity.Bytes(n.Memory.Of),
		fmt.Sprintf("%d/%d", n.Pods.Used, n.Pods.Of), strconv.Itoa(n.Outside), picker,
	} {
		row = append(row, text.Cell{Text: s})
	}
	return row
}

func nodeStatus(n snapshot.Node) text.Cell {
	unhealthy := 0
	for _, d := range n.Devices {
		if d.Unhealthy {
			unhealthy++
		}
	}
	switch {
	case n.Unschedulable:
		return text.Cell{Text: "Closed", Paint: text.Warn}
	case unhealthy > 0:
		return text.Cell{Text: fmt.Sprintf("%d unhealthy", unhealthy), Paint: text.Bad}
	}
	return text.Cell{Text: "Ready", Paint: text.Good}
}

func models(n snapshot.Node) string {
	var names []string
	for _, d := range n.Devices {
		if d.Model != "" && !slices.Contains(names, d.Model) {
			names = append(names, d.Model)
		}
	}
	return strings.Join(names, ",")
}

// Node writes one node with who holds what of each device.
func Node(w io.Writer, p text.Palette, n snapshot.Node) error {
	f := text.Fields{}
	f.Add("Name", n.Name)
	f.Add("Pool", n.Pool)
	st := nodeStatus(n)
	f.Add("Status", p.Apply(st.Paint, st.Text))
	f.Add("CPU", fmt.Sprintf("%s of %s taken", quantity.CPUs(n.CPU.Used), quantity.CPUs(n.CPU.Of)))
	f.Add("Memory", fmt.Sprintf("%s of %s taken", quantity.Bytes(n.Memory.Used), quantity.Bytes(n.Memory.Of)))
	f.Add("Pods", fmt.Sprintf("%d of %d, %d of them not Weir's", n.Pods.Used, n.Pods.Of, n.Outside))
	if n.Counted {
		f.Add("Devices", "picked by the node's device plugin; only whole ones, and which one is not known")
	}
	if err := f.Write(w, p); err != nil {
		return err
	}
	if len(n.Devices) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return NodeDevices(w, p, []snapshot.Node{n}, false)
}

// NodeDevices writes the devices of nodes with who holds them: one line for
// each device and holder.
func NodeDevices(w io.Writer, p text.Palette, list []snapshot.Node, names bool) error {
	columns := []string{"DEVICE", "MODEL", ">MEMORY", ">GRANTED", "HOLDER", "POD", "HAS"}
	if names {
		columns = append([]string{"NODE"}, columns...)
	}
	t := text.NewTable(columns...)
	for _, n := range list {
		for _, d := range n.Devices {
			addDevice(t, n, d, names)
		}
	}
	return t.Write(w, p)
}

func addDevice(t *text.Table, n snapshot.Node, d snapshot.Device, names bool) {
	holdings := d.Holdings
	if len(holdings) == 0 {
		holdings = []snapshot.Holding{{}}
	}
	for i, h := range holdings {
		row := []text.Cell{{Text: d.Name}, {Text: d.Model}, {Text: quantity.MiB(d.MemoryMiB)},
			{Text: quantity.About(int64(d.Granted))}, holder(d, h), {Text: h.Pod}, {Text: has(h)}}
		if i > 0 {
			for j := range 4 {
				row[j] = text.Cell{Text: "”", Paint: text.Dim}
			}
		}
		if names {
			row = append([]text.Cell{{Text: n.Name}}, row...)
		}
		t.AddCells(row...)
	}
}

func holder(d snapshot.Device, h snapshot.Holding) text.Cell {
	switch {
	case h.Pod == "" && d.Unhealthy:
		return text.Cell{Text: "unhealthy", Paint: text.Bad}
	case h.Pod == "":
		return text.Cell{Text: "free", Paint: text.Good}
	case h.Workload == "":
		return text.Cell{Text: "not Weir's", Paint: text.Dim}
	}
	return text.Cell{Text: workload.Display(h.Workload)}
}

func has(h snapshot.Holding) string {
	switch {
	case h.Pod == "":
		return ""
	case h.Whole:
		return "all of it"
	}
	return quantity.MiB(h.MemoryMiB) + ", " + percent(h.ComputeMilli) + "% compute"
}

// Pools writes node pools, one a line.
func Pools(w io.Writer, p text.Palette, list []snapshot.Pool) error {
	t := text.NewTable("NAME", ">NODES", ">GPUS", ">GRANTED", ">FREE", ">SHARED", ">UNHEALTHY", ">USE")
	for _, pool := range list {
		t.Add(pool.Name, strconv.Itoa(pool.Nodes), strconv.Itoa(pool.Devices), quantity.About(int64(pool.Granted)),
			strconv.Itoa(pool.Free), strconv.Itoa(pool.Shared), strconv.Itoa(pool.Unhealthy), use(pool.Granted, pool.Devices))
	}
	return t.Write(w, p)
}

// use is the part of n devices that is granted.
func use(granted snapshot.GPUs, n int) string {
	micro := int64(granted)
	if n == 0 {
		return ""
	}
	return percent((micro*1000+int64(n)*sched.GPU/2)/(int64(n)*sched.GPU)) + "%"
}
