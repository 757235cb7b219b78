package learn_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	"github.com/weir-gpu/weir/sched/learn"
)

func placed(rule string) sched.Event {
	return sched.PoolSet{Pool: sched.Pool{Name: sched.DefaultPool, GPUPlacement: rule}}
}

func pod(n int) sched.Event { return podOf(n, 1) }

func podOf(n, devices int) sched.Event {
	return sched.PodSet{Workload: "w", Pod: sched.Pod{ID: fmt.Sprint("p", n), Ask: ask(devices)}}
}

// asked returns how many pods the engine is to expect; -1 when there is
// nothing to tell.
func asked(f *learn.Follower) (sum int64) {
	ev, ok := f.Due()
	if !ok {
		return -1
	}
	for _, x := range ev.Pods {
		sum += x.Weight
	}
	return sum
}

func TestFollows(t *testing.T) {
	f := learn.NewFollower()
	want := func(story string, sum int64) {
		t.Helper()
		if got := asked(f); got != sum {
			t.Errorf("%s: told of %d pods, want %d", story, got, sum)
		}
	}
	f.Told(placed(sched.Pack))
	for i := range 100 {
		f.Told(pod(i))
	}
	want("where nobody looks ahead", -1)
	f.Told(sched.PodGone{ID: "p0"})
	f.Told(placed(sched.Dense))
	want("when somebody does, with those that exist", 99)
	for range 3 {
		for i := 1; i < 100; i++ {
			f.Told(pod(i))
		}
	}
	want("when they are told again", -1)
	for i := 1; i < 100; i++ {
		f.Told(sched.PodGone{ID: fmt.Sprint("p", i)})
		f.Told(pod(i))
	}
	want("when they change their workload", -1)
	for i := 1; i < 100; i++ {
		f.Told(sched.PodGone{ID: fmt.Sprint("p", i)})
	}
	want("when they are gone", -1)
	for i := 1; i < 100; i++ {
		f.Told(podOf(i, 2))
	}
	want("when others of their names come later", 198)
	f.Told(placed(sched.FGD))
	want("when nobody looks ahead any more", 0)
	want("and after that", -1)
}

// Engines that know the same pods expect the same, in whatever order they came.
func TestOrderMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := []sched.Event{placed(sched.Dense)}
		for i := range rapid.IntRange(64, 200).Draw(t, "pods") {
			a := sched.Ask{Devices: rapid.IntRange(0, 3).Draw(t, "devices"), Models: []string{"H100", "A100"}}
			a.Other = map[string]int64{"a": 1, "b": rapid.Int64Range(1, 2).Draw(t, "b")}
			events = append(events, sched.PodSet{Workload: "w", Pod: sched.Pod{ID: fmt.Sprint(i), Ask: a}})
		}
		var told []sched.Event
		for range 2 {
			f := learn.NewFollower()
			for _, ev := range events {
				f.Told(ev)
			}
			ev, ok := f.Due()
			if !ok {
				t.Fatal("nothing is told")
			}
			told = append(told, ev)
			events = rapid.Permutation(events).Draw(t, "order")
		}
		if a, b := fmt.Sprint(told[0]), fmt.Sprint(told[1]); a != b {
			t.Fatalf("one expects %s\nthe other %s", a, b)
		}
	})
}
