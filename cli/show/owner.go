package show

import (
	"fmt"
	"io"
	"strconv"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/sched"
)

// Owners writes departments or projects: one line for each pool of each. Wide
// adds what divides the surplus, and CPU and memory.
func Owners(w io.Writer, p text.Palette, list []snapshot.Owner, wide bool) error {
	names := []string{"NAME", "PARENT", "POOL", ">QUOTA", ">LIMIT", ">GRANTED", ">BORROWED", ">LENT",
		">RUNNING", ">WAITING"}
	if wide {
		names = append(names, ">WEIGHT", ">PRIORITY", ">CPU", ">MEMORY")
	}
	t := text.NewTable(names...)
	for _, o := range list {
		pools := o.Pools
		if len(pools) == 0 {
			pools = []snapshot.Use{{}}
		}
		for _, u := range pools {
			t.AddCells(ownerRow(o, u, wide)...)
		}
	}
	return t.Write(w, p)
}

func ownerRow(o snapshot.Owner, u snapshot.Use, wide bool) []text.Cell {
	row := []text.Cell{{Text: o.Name}, {Text: o.Parent}, {Text: u.Pool},
		{Text: quantity.GPUs(u.Quota.GPU)}, {Text: quantity.GPUs(u.Limit.GPU)}, {Text: quantity.About(u.Granted.GPU)},
		marked(u.Borrowed.GPU, text.Warn), marked(u.Lent.GPU, text.Good),
		{Text: strconv.Itoa(u.Running)}, marked(int64(u.Waiting)*sched.GPU, text.Warn)}
	if wide {
		for _, s := range []string{
			strconv.FormatInt(u.Weight, 10), strconv.Itoa(int(u.Priority)),
			ofQuota(quantity.CPUs, u.Granted.CPU, u.Quota.CPU), ofQuota(quantity.Bytes, u.Granted.Memory, u.Quota.Memory),
		} {
			row = append(row, text.Cell{Text: s})
		}
	}
	return row
}

// marked is a number that is painted unless it is 0.
func marked(micro int64, paint text.Paint) text.Cell {
	if micro == 0 {
		paint = text.Plain
	}
	return text.Cell{Text: quantity.About(micro), Paint: paint}
}

// ofQuota is what is granted of a quota, or alone where none is counted.
func ofQuota(print func(int64) string, granted, quota int64) string {
	if quota == sched.Unbounded {
		return print(granted)
	}
	return print(granted) + "/" + print(quota)
}

// Owner writes one department or project, and what is in it.
func Owner(w io.Writer, p text.Palette, o snapshot.Owner, v *snapshot.View) error {
	f := text.Fields{}
	f.Add("Name", o.Name)
	f.Add("Kind", o.Kind)
	f.Add("Department", o.Parent)
	if err := f.Write(w, p); err != nil {
		return err
	}
	for _, u := range o.Pools {
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		if err := ownerPool(w, p, u); err != nil {
			return err
		}
	}
	return inside(w, p, o, v)
}

// ownerPool writes what an owner has in one pool, one line a resource.
func ownerPool(w io.Writer, p text.Palette, u snapshot.Use) error {
	t := text.NewTable("POOL "+u.Pool, ">QUOTA", ">LIMIT", ">REQUESTED", ">GRANTED", ">BORROWED", ">LENT")
	for _, r := range []struct {
		name  string
		print func(int64) string
		of    func(snapshot.Amount) int64
	}{
		{"GPUs", quantity.About, func(a snapshot.Amount) int64 { return a.GPU }},
		{"CPU", quantity.CPUs, func(a snapshot.Amount) int64 { return a.CPU }},
		{"memory", quantity.Bytes, func(a snapshot.Amount) int64 { return a.Memory }},
	} {
		row := []string{r.name}
		for _, a := range []snapshot.Amount{u.Quota, u.Limit, u.Requested, u.Granted, u.Borrowed, u.Lent} {
			row = append(row, r.print(r.of(a)))
		}
		if r.of(u.Quota) == sched.Unbounded {
			row[1] = "" // it is not counted
		}
		t.Add(row...)
	}
	if err := t.Write(w, p); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s, %s, weight %d, priority %d\n", quantity.Count(u.Running, "pod")+" running",
		strconv.Itoa(u.Waiting)+" waiting", u.Weight, u.Priority)
	return err
}

// inside writes the owners below a department, or the workloads of a project.
func inside(w io.Writer, p text.Palette, o snapshot.Owner, v *snapshot.View) error {
	var below []snapshot.Owner
	for _, other := range v.Owners {
		if o.Kind == "department" && other.Parent == o.Name {
			below = append(below, other)
		}
	}
	var work []snapshot.Workload
	for _, wl := range v.Workloads {
		if o.Kind == "project" && wl.Project == o.Name && !wl.Status.Done() {
			v.Fill(&wl)
			work = append(work, wl)
		}
	}
	if len(below)+len(work) == 0 {
		return nil
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	if len(below) > 0 {
		return Owners(w, p, below, false)
	}
	return List(w, p, work, ListOptions{Now: v.Time, Namespaces: true})
}
