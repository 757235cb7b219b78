package show

import (
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/text"
)

// ListOptions say which columns a list has.
type ListOptions struct {
	Now        time.Time
	Wide       bool
	Namespaces bool // show the namespace of each
	NoHeaders  bool
}

// List writes workloads, one a line.
func List(w io.Writer, p text.Palette, list []snapshot.Workload, o ListOptions) error {
	names := []string{"NAME", "KIND", "PROJECT", "STATUS", ">PODS", ">GPUS", ">PRIORITY", "AGE"}
	if o.Wide {
		names = append(names, "OBJECT", "PREEMPTIBLE", "NODE-POOL", "NODES", "MESSAGE")
	}
	if o.Namespaces {
		names = append([]string{"NAMESPACE"}, names...)
	}
	t := text.NewTable(names...)
	t.NoHeaders = o.NoHeaders
	for _, wl := range list {
		t.AddCells(listRow(wl, o)...)
	}
	return t.Write(w, p)
}

func listRow(w snapshot.Workload, o ListOptions) []text.Cell {
	var row []text.Cell
	add := func(cells ...string) {
		for _, c := range cells {
			row = append(row, text.Cell{Text: c})
		}
	}
	if o.Namespaces {
		add(w.Namespace)
	}
	add(w.Name, string(w.Kind), w.Project)
	row = append(row, status(w))
	add(strconv.Itoa(placed(w))+"/"+strconv.Itoa(len(w.Pods)), gpus(w),
		strconv.Itoa(int(w.Priority)), since(o.Now, w.Submitted))
	if o.Wide {
		add(w.Object, yes(w.Preemptible), strings.Join(w.NodePools, ","), nodes(w), w.Message)
	}
	return row
}
