package sched

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// largeAndSmall is a cluster of empty nodes of eight devices, in which one pod
// of thirty is expected to need a whole node.
func largeAndSmall(t *testing.T, nodes int) *Engine {
	t.Helper()
	e := New(Config{})
	events := []Event{
		PoolSet{Pool{Name: DefaultPool, GPUPlacement: Dense}},
		Expect{Pods: []Expected{{Ask: Ask{Devices: 8}, Weight: 1}, {Ask: Ask{Devices: 1}, Weight: 29}}},
	}
	for i := range nodes {
		n := Node{Name: fmt.Sprintf("n%03d", i), Capacity: Resources{CPU: 64000, Memory: 1 << 38}}
		for d := range 8 {
			d := Device{Name: fmt.Sprint("gpu-", d), Model: "H100", MemoryMiB: 81559, ComputeMilli: 1000}
			n.Devices = append(n.Devices, d)
		}
		events = append(events, NodeSet{n})
	}
	for _, ev := range events {
		if err := e.Apply(ev); err != nil {
			t.Fatal(err)
		}
	}
	e.ensure()
	return e
}

// runOn lets a pod have the first device of a node.
func runOn(t *testing.T, e *Engine, node string) {
	t.Helper()
	id := "on-" + node
	grant := Grant{Node: node, Devices: []Share{{Device: "gpu-0",
		MemoryMiB: 81559, ComputeMilli: 1000, LimitMemoryMiB: 81559, LimitComputeMilli: 1000}}}
	for _, ev := range []Event{
		PodSet{Workload: id, Pod: Pod{ID: id, Ask: Ask{Devices: 1}}},
		PodGranted{ID: id, Grant: grant},
	} {
		if err := e.Apply(ev); err != nil {
			t.Fatal(err)
		}
	}
}

// A slot for pods of eight devices costs nothing while there are many, and the
// more the fewer there are.
func TestPricesRiseAsSlotsFall(t *testing.T) {
	e := largeAndSmall(t, 100)
	p := e.pool(DefaultPool)
	last, rises := int64(0), 0
	for i, n := range p.nodes {
		x := e.scarcity(p)
		if len(x.rare) != 1 || x.rare[0].sum != int64(100-i) {
			t.Fatalf("with %d nodes in use the rare shapes are %+v", i, x.rare)
		}
		price := x.rare[0].price
		switch {
		case i == 0 && (price != 0 || x.any):
			t.Errorf("in an empty cluster a slot costs %d", price)
		case price < last:
			t.Errorf("with %d slots left the price falls from %d to %d", 100-i, last, price)
		case price > last:
			rises++
		}
		last = price
		runOn(t, e, n.Name)
	}
	if last != priceSteps || rises < 2 {
		t.Errorf("the last slot costs %d of %d, after %d rises", last, priceSteps, rises)
	}
}

// While whole nodes are scarce, a pod of one device goes where it takes none.
func TestPodsKeepOffScarceSlots(t *testing.T) {
	e := largeAndSmall(t, 2)
	s := e.intern(Ask{Devices: 1}, 0)
	p := e.pool(DefaultPool)
	runOn(t, e, "n001")
	whole, used := e.slotPrice(s, p.nodes[0]), e.slotPrice(s, p.nodes[1])
	if whole <= 0 || used != 0 {
		t.Errorf("a place on the last empty node costs %d, on the other %d", whole, used)
	}
	if n := e.best(e.tree(s, p), nil); n.Name != "n001" {
		t.Errorf("a pod of one device goes to %s", n.Name)
	}
}

// What is known of scarcity after random changes is what a fresh count finds.
func TestRepairedScarcityEqualsCountedOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawCluster(t)
		must(t, e.Apply(drawExpect(t)))
		for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
			stir(t, e, i)
			e.ensure()
			for _, p := range e.poolList {
				repaired := *e.scarcity(p)
				p.scarce = scarcity{}
				counted := *e.scarcity(p)
				p.scarce = repaired
				if !reflect.DeepEqual(repaired, counted) {
					t.Fatalf("after changes %+v\ncounted anew %+v", repaired, counted)
				}
			}
		}
	})
}
