package learn_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/learn"
	_ "github.com/weir-gpu/weir/test/seed"
)

func ask(devices int) sched.Ask { return sched.Ask{Devices: devices, Fit: "zone=a"} }

func arrive(c *learn.Counter, devices, times int) {
	for range times {
		c.Arrived(fmt.Sprint(devices), ask(devices))
	}
}

// Nothing is expected before enough came, then the most common kind first.
func TestTellsWhenEnoughCame(t *testing.T) {
	c := learn.New()
	arrive(c, 1, 20)
	arrive(c, 2, 43)
	if ev, ok := c.Due(); ok {
		t.Fatalf("after 63 pods %v is told", ev)
	}
	arrive(c, 1, 1)
	ev, ok := c.Due()
	want := []sched.Expected{{Ask: sched.Ask{Devices: 2}, Weight: 43}, {Ask: sched.Ask{Devices: 1}, Weight: 21}}
	if !ok || fmt.Sprint(ev.Pods) != fmt.Sprint(want) {
		t.Fatalf("told %v %v, want %v", ev.Pods, ok, want)
	}
	if arrive(c, 1, 15); due(c) {
		t.Fatal("told again after 15 more of 64")
	}
	if arrive(c, 1, 1); !due(c) {
		t.Fatal("not told again after 16 more of 64, all of one kind")
	}
	arrive(c, 1, 37)
	arrive(c, 2, 43)
	if due(c) {
		t.Fatal("told again though pods are what they were")
	}
}

func due(c *learn.Counter) bool { _, ok := c.Due(); return ok }

// What was common long ago is forgotten.
func TestForgets(t *testing.T) {
	c := learn.New()
	arrive(c, 1, 1000)
	var last sched.Expect
	for range 40 {
		arrive(c, 2, 10_000)
		c.Due()
	}
	arrive(c, 3, 10_000)
	if ev, ok := c.Due(); ok {
		last = ev
	}
	if len(last.Pods) != 2 || last.Pods[0].Ask.Devices != 2 || last.Pods[1].Ask.Devices != 3 {
		t.Fatalf("expected are %v, want pods of 2 and 3 devices only", last.Pods)
	}
}

// Whatever comes, the engine accepts what is told, and it is told seldom.
func TestIsAcceptedAndSeldom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, e := learn.New(), sched.New(sched.Config{})
		told := 0
		for range rapid.IntRange(0, 40).Draw(t, "bursts") {
			arrive(c, rapid.IntRange(0, 8).Draw(t, "devices"), rapid.IntRange(1, 400).Draw(t, "pods"))
			ev, ok := c.Due()
			if !ok {
				continue
			}
			told++
			if err := e.Apply(ev); err != nil {
				t.Fatal(err)
			}
			if !slices.IsSortedFunc(ev.Pods, func(a, b sched.Expected) int { return int(b.Weight - a.Weight) }) {
				t.Fatalf("told out of order: %v", ev.Pods)
			}
		}
		if told > 26 { // 64 × 1.25^25 is more than can come here
			t.Fatalf("told %d times", told)
		}
	})
}
