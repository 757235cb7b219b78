package snapshot

import (
	"testing"
	"time"

	"github.com/weir-gpu/weir/sched"
)

// engine is a decision engine that has been asked already.
type engine struct {
	uses []sched.Use
	why  map[string]sched.Explanation
}

func (e engine) Usage() []sched.Use { return e.uses }
func (e engine) Explain(id string) (sched.Explanation, bool) {
	ex, ok := e.why[id]
	return ex, ok
}

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func build(t *testing.T, e engine, phases map[string]string, events ...sched.Event) *View {
	t.Helper()
	l := NewLedger()
	for _, ev := range events {
		l.Apply(ev)
	}
	return Build(now, l, e, func(id string) string { return phases[id] })
}

func node(name string, counted bool, n int) sched.NodeSet {
	nd := sched.Node{Name: name, Counted: counted, Capacity: sched.Resources{CPU: 64_000, Memory: 1 << 40, Pods: 110}}
	for i := range n {
		nd.Devices = append(nd.Devices, sched.Device{
			Name: "gpu-" + string(rune('0'+i)), Model: "A100", MemoryMiB: 81920, ComputeMilli: sched.WholeCompute,
		})
	}
	return sched.NodeSet{Node: nd}
}

func gang(id string, pods ...string) []sched.Event {
	events := []sched.Event{sched.WorkloadSet{Workload: sched.Workload{
		ID: id, Owner: "project/vision", Kind: sched.Train, Min: len(pods),
	}}}
	for _, p := range pods {
		events = append(events, sched.PodSet{Workload: id, Pod: sched.Pod{ID: p, Ask: sched.Ask{Devices: 1}}})
	}
	return events
}

func granted(pod, node string, shares ...sched.Share) sched.PodGranted {
	return sched.PodGranted{ID: pod, Grant: sched.Grant{Node: node, Devices: shares}, Since: sched.Time(now.UnixMilli())}
}

func TestStatus(t *testing.T) {
	const id = "ml/job/train"
	for _, tc := range []struct {
		name   string
		more   []sched.Event
		phases map[string]string
		want   Status
	}{
		{"nothing placed", nil, nil, Waiting},
		{"half of the gang placed", []sched.Event{granted("ml/a", "n1")}, nil, Waiting},
		{"placed, containers not up", []sched.Event{granted("ml/a", "n1"), granted("ml/b", "n1")},
			map[string]string{"ml/a": "Running", "ml/b": "Pending"}, Starting},
		{"up", []sched.Event{granted("ml/a", "n1"), granted("ml/b", "n1")},
			map[string]string{"ml/a": "Running", "ml/b": "Running"}, Running},
		{"being stopped", []sched.Event{
			granted("ml/a", "n1"), granted("ml/b", "n1"), sched.PodLeaving{ID: "ml/a"}, sched.PodLeaving{ID: "ml/b"},
		}, nil, Leaving},
		{"suspended", []sched.Event{sched.WorkloadSet{Workload: sched.Workload{ID: id, Min: 2, Suspended: true}}},
			nil, Suspended},
		{"bind failed", []sched.Event{granted("ml/a", "n1"), granted("ml/b", "n1"), sched.GrantFailed{ID: "ml/a"}},
			nil, Waiting},
		{"node gone", []sched.Event{granted("ml/a", "n1"), granted("ml/b", "n1"), sched.NodeGone{Name: "n1"}},
			nil, Waiting},
	} {
		t.Run(tc.name, func(t *testing.T) {
			events := append([]sched.Event{node("n1", false, 2)}, gang(id, "ml/a", "ml/b")...)
			v := build(t, engine{}, tc.phases, append(events, tc.more...)...)
			if got := v.Workloads[0].Status; got != tc.want {
				t.Errorf("status %s, want %s", got, tc.want)
			}
		})
	}
}

func TestDevicesShowTheirHolders(t *testing.T) {
	half := sched.Share{Device: "gpu-1", MemoryMiB: 40960, ComputeMilli: 250}
	events := append([]sched.Event{node("n1", false, 3)}, gang("ml/job/train", "ml/a", "ml/b")...)
	events = append(events,
		granted("ml/a", "n1", half),
		granted("ml/b", "n1", sched.Share{Device: "gpu-0", MemoryMiB: 81920, ComputeMilli: 1000}),
		sched.Occupied{ID: "sys/x", Node: "n1", Resources: sched.Resources{CPU: 2000, Memory: 1 << 30}},
	)
	n := build(t, engine{}, nil, events...).Nodes[0]
	if d := n.Devices[0]; d.Granted != GPUs(sched.GPU) || !d.Holdings[0].Whole || d.Shared() {
		t.Errorf("gpu-0 should be held whole: %+v", d)
	}
	// Half of the memory counts, though only a quarter of the compute is asked.
	if d := n.Devices[1]; d.Granted != GPUs(sched.GPU/2) || !d.Shared() || d.Holdings[0].Workload != "ml/job/train" {
		t.Errorf("gpu-1 should be half held: %+v", d)
	}
	if d := n.Devices[2]; d.Granted != 0 || len(d.Holdings) != 0 {
		t.Errorf("gpu-2 should be free: %+v", d)
	}
	if n.CPU.Used != 2000 || n.Pods.Used != 3 || n.Outside != 1 {
		t.Errorf("CPU %d, pods %d, outside %d", n.CPU.Used, n.Pods.Used, n.Outside)
	}
}

func TestCountedDevicesFillUpInOrder(t *testing.T) {
	events := append([]sched.Event{node("n1", true, 4)}, gang("ml/job/train", "ml/a", "ml/b")...)
	events = append(events,
		granted("ml/a", "n1", sched.Share{Device: "gpu-3"}, sched.Share{Device: "gpu-3"}),
		sched.Occupied{ID: "sys/x", Node: "n1", Devices: 1},
	)
	v := build(t, engine{}, nil, events...)
	if p := v.Pools[0]; p.Granted != GPUs(3*sched.GPU) || p.Free != 1 || p.Name != "default" {
		t.Errorf("3 of 4 devices should be granted: %+v", p)
	}
}

func TestOwnersStandUnderTheirParents(t *testing.T) {
	owner := func(name, parent string) sched.OwnerSet {
		return sched.OwnerSet{Owner: sched.Owner{Name: name, Parent: parent}}
	}
	v := build(t, engine{uses: []sched.Use{{Owner: "project/a", Quota: sched.Amount{GPU: 5}}}}, nil,
		owner("project/z", "department/research"), owner("project/a", "department/research"),
		owner("department/research", ""), owner("department/apps", ""), owner("project/orphan", "department/gone"))
	var got []string
	for _, o := range v.Owners {
		got = append(got, o.Kind+" "+o.Name+" < "+o.Parent)
	}
	want := []string{"department apps < ", "department research < ", "project a < research", "project z < research",
		"project orphan < gone"}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("place %d: %q, want %q", i, got[i], want[i])
		}
	}
	if v.Owners[2].Pools[0].Quota.GPU != 5 {
		t.Errorf("project a has lost its use: %+v", v.Owners[2])
	}
}

func TestFind(t *testing.T) {
	var events []sched.Event
	for _, id := range []string{"ml/job/train", "ml/pod/train", "web/deployment/chat"} {
		events = append(events, gang(id, splitID(id).Namespace+"/"+splitID(id).Name+"-0")...)
	}
	v := build(t, engine{}, nil, events...)
	for ref, want := range map[string][]string{
		"train":               {"ml/job/train", "ml/pod/train"},
		"job/train":           {"ml/job/train"},
		"jobs/train":          {"ml/job/train"},
		"ml/job/train":        {"ml/job/train"},
		"chat":                nil,
		"web/chat":            {"web/deployment/chat"},
		"web/deploy/chat":     {"web/deployment/chat"},
		"web/chat-0":          {"web/deployment/chat"}, // by its pod
		"web/deployment/none": nil,
	} {
		var got []string
		for _, w := range v.Find("ml", ref) {
			got = append(got, w.ID)
		}
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("Find(%q) = %q, want %q", ref, got, want)
		}
	}
}

func TestGoneIsGone(t *testing.T) {
	events := append([]sched.Event{node("n1", false, 1)}, gang("ml/job/train", "ml/a", "ml/b")...)
	events = append(events,
		sched.PoolSet{Pool: sched.Pool{Name: "fast"}}, sched.PoolGone{Name: "fast"},
		sched.OwnerSet{Owner: sched.Owner{Name: "project/x"}}, sched.OwnerGone{Name: "project/x"},
		sched.Occupied{ID: "sys/x", Node: "n1"}, sched.Vacated{ID: "sys/x"},
		granted("ml/a", "n1"), sched.PodGone{ID: "ml/a"}, sched.WorkloadGone{ID: "ml/job/train"},
	)
	v := build(t, engine{}, nil, events...)
	if len(v.Workloads)+len(v.Owners) != 0 || len(v.Pools) != 1 || v.Nodes[0].Pods.Used != 0 {
		t.Errorf("something stayed: %+v", v)
	}
}
