package show

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-gpu/weir/cli/quantity"
	"github.com/weir-gpu/weir/cli/snapshot"
	"github.com/weir-gpu/weir/cli/text"
	"github.com/weir-gpu/weir/sched"
)

// Top is the summary of a cluster: what is granted, who waits, who borrows.
// Its JSON is what `weir top --once -o json` prints.
type Top struct {
	Time      time.Time           `json:"time"`
	Nodes     int                 `json:"nodes"`
	GPUs      int                 `json:"gpus"`
	Granted   snapshot.GPUs       `json:"grantedGPUs"`
	Pools     []snapshot.Pool     `json:"pools"`
	Owners    []snapshot.Owner    `json:"owners"`
	Workloads map[string]int      `json:"workloads"` // by status
	Queue     []snapshot.Workload `json:"queue"`     // those that wait, the oldest first
	Problems  []snapshot.Problem  `json:"problems,omitempty"`

	pools int
}

// NewTop summarises a view. The queue is cut to the first n after it is
// ordered; only those are asked why they wait.
func NewTop(v *snapshot.View, n int) Top {
	t := Top{
		Time: v.Time.UTC(), Nodes: len(v.Nodes),
		Pools: v.Pools, Owners: v.Owners, Workloads: map[string]int{}, pools: len(v.Pools),
	}
	for _, p := range v.Pools {
		t.GPUs += p.Devices
		t.Granted += p.Granted
	}
	for _, w := range v.Workloads {
		t.Workloads[string(w.Status)]++
		if w.Status == snapshot.Waiting {
			t.Queue = append(t.Queue, w)
		}
	}
	slices.SortStableFunc(t.Queue, func(a, b snapshot.Workload) int { return a.Submitted.Compare(b.Submitted) })
	t.Queue = t.Queue[:min(len(t.Queue), n)]
	for _, p := range v.Problems {
		if p.Kind != "Pod" && p.Kind != "Workload" { // those are in the queue
			t.Problems = append(t.Problems, p)
		}
	}
	for i := range t.Queue {
		v.Fill(&t.Queue[i])
	}
	return t
}

// Write prints the summary.
func (t Top) Write(w io.Writer, p text.Palette) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s, %s\n", p.Apply(text.Bold, "weir"), t.Time.Format("2006-01-02 15:04:05 UTC"),
		quantity.Count(t.Nodes, "node"))
	fmt.Fprintf(&b, "GPUs       %s %s of %d granted (%s)\n", text.Bar(int64(t.Granted), int64(t.GPUs)*sched.GPU, 30),
		quantity.About(int64(t.Granted)), t.GPUs, use(t.Granted, max(t.GPUs, 1)))
	fmt.Fprintf(&b, "Workloads  %s\n\n", t.counts())
	if err := Pools(&b, p, t.Pools); err != nil {
		return err
	}
	if len(t.Owners) > 0 {
		b.WriteString("\n")
		if err := t.owners(&b, p); err != nil {
			return err
		}
	}
	if len(t.Queue) > 0 {
		b.WriteString("\n")
		if err := t.queue(&b, p); err != nil {
			return err
		}
	}
	if len(t.Problems) > 0 {
		b.WriteString("\n")
		tb := text.NewTable("NOT IN FORCE", "BECAUSE")
		for _, problem := range t.Problems {
			tb.AddCells(text.Cell{Text: problem.Kind + " " + problem.Name, Paint: text.Bad}, text.Cell{Text: problem.Message})
		}
		if err := tb.Write(&b, p); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// counts says how many workloads are in each status.
func (t Top) counts() string {
	var parts []string
	for _, s := range []snapshot.Status{snapshot.Running, snapshot.Starting, snapshot.Waiting, snapshot.Leaving,
		snapshot.Suspended} {
		if n := t.Workloads[string(s)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ToLower(string(s))))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// owners writes the owner tree, projects indented under their departments.
func (t Top) owners(w io.Writer, p text.Palette) error {
	columns := []string{"OWNER", ">QUOTA", ">GRANTED", ">BORROWED", ">LENT", ">RUNNING", ">WAITING", "USE OF QUOTA"}
	if t.pools > 1 {
		columns = slices.Insert(columns, 1, "POOL")
	}
	tb := text.NewTable(columns...)
	depth := map[string]int{}
	for _, o := range t.Owners {
		d := 0
		if above, ok := depth["department/"+o.Parent]; ok {
			d = above + 1
		}
		depth[o.Kind+"/"+o.Name] = d
		for _, u := range o.Pools {
			row := []text.Cell{{Text: strings.Repeat("  ", d) + o.Name},
				{Text: quantity.GPUs(u.Quota.GPU)}, {Text: quantity.About(u.Granted.GPU)},
				marked(u.Borrowed.GPU, text.Warn), marked(u.Lent.GPU, text.Good),
				{Text: strconv.Itoa(u.Running)}, marked(int64(u.Waiting)*sched.GPU, text.Warn),
				{Text: quotaBar(u)}}
			if t.pools > 1 {
				row = slices.Insert(row, 1, text.Cell{Text: u.Pool})
			}
			tb.AddCells(row...)
		}
	}
	return tb.Write(w, p)
}

// quotaBar shows use against quota; what is borrowed is marked beyond it.
func quotaBar(u snapshot.Use) string {
	const width = 10
	if u.Quota.GPU <= 0 {
		return strings.Repeat("░", width) + over(u.Borrowed.GPU)
	}
	return text.Bar(u.Granted.GPU, u.Quota.GPU, width) + over(u.Borrowed.GPU)
}

func over(micro int64) string {
	if micro <= 0 {
		return ""
	}
	return "+" + quantity.About(micro)
}

func (t Top) queue(w io.Writer, p text.Palette) error {
	total := t.Workloads[string(snapshot.Waiting)]
	title := "WAITING"
	if total > len(t.Queue) {
		title = fmt.Sprintf("WAITING (first %d of %d)", len(t.Queue), total)
	}
	tb := text.NewTable(title, "PROJECT", ">PODS", ">GPUS", ">PRIORITY", "SINCE", "WHY")
	for _, wl := range t.Queue {
		why := wl.Message
		if why == "" {
			why = string(wl.Reason)
		}
		tb.Add(name(wl), wl.Project, strconv.Itoa(len(wl.Pods)), gpus(wl),
			strconv.Itoa(int(wl.Priority)), since(t.Time, wl.Submitted), why)
	}
	return tb.Write(w, p)
}
