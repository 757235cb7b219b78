package sched

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

func denseCluster(t testing.TB) *Engine {
	e := New(Config{})
	for _, ev := range []Event{
		PoolSet{Pool{Name: DefaultPool, GPUPlacement: Dense}},
		OwnerSet{Owner{Name: "a", Pools: map[string]OwnerPool{DefaultPool: {Quota: NoLimit, Limit: NoLimit, Weight: 1}}}},
		NodeSet{Node{Name: "n1", Capacity: Resources{CPU: 64_000, Memory: 1 << 38}, Devices: []Device{
			{Name: "gpu-0", Model: "H100", MemoryMiB: 81_559, ComputeMilli: 1000},
			{Name: "gpu-1", Model: "H100", MemoryMiB: 81_559, ComputeMilli: 1000},
			{Name: "gpu-2", Model: "L4", ComputeMilli: 1000},
		}}},
		NodeSet{Node{Name: "n2", Capacity: Resources{CPU: math.MaxInt64, Memory: math.MaxInt64}, Counted: true, Devices: []Device{
			{Name: "gpu-0", Model: "H100", MemoryMiB: 81_559, ComputeMilli: 1000},
		}}},
		Expect{Pods: []Expected{{Ask: Ask{Devices: 2}, Weight: 3}, {Ask: Ask{Devices: 1, Part: Part{Fraction: GPU / 3}}, Weight: 7}}},
		WorkloadSet{Workload{ID: "half", Owner: "a"}},
		PodSet{Workload: "half", Pod: Pod{ID: "half", Ask: Ask{Devices: 1, Part: Part{Fraction: GPU / 2}}}},
	} {
		if err := e.Apply(ev); err != nil {
			t.Fatal(err)
		}
	}
	e.Decide(1)
	return e
}

// rememberedBy is what an engine remembers of what it was told.
func rememberedBy(e *Engine) string {
	return fmt.Sprint(e.Facts(), len(e.shapeList), e.resNames, e.outlook.mix.weights)
}

func TestExpectRefuses(t *testing.T) {
	whole := Ask{Devices: 1}
	many := make([]Expected, mostExpected+1)
	for i := range many {
		many[i] = Expected{Ask: Ask{Devices: 1, Resources: Resources{CPU: int64(i)}}, Weight: 1}
	}
	for want, pods := range map[string][]Expected{
		"expected pods: weight 0 is not 1 to 65536":                                           {{whole, 5}, {whole, 0}},
		"expected pods: weight -1 is not 1 to 65536":                                          {{whole, -1}},
		"expected pods: weight 65537 is not 1 to 65536":                                       {{whole, mostWeight + 1}},
		"1025 kinds of pods are more than can be expected: tell the 1024 most common":         many,
		"expected pods: -1 devices: ask for 0 to 64":                                          {{whole, 1}, {Ask{Devices: -1}, 1}},
		"expected pods: 65 devices: ask for 0 to 64":                                          {{Ask{Devices: 65}, 1}},
		"expected pods: a part of 0 devices: ask for at least 1 device":                       {{Ask{Part: Part{Fraction: 1}}, 1}},
		"expected pods: resources {CPU:-1 Memory:0 Pods:0 Other:map[]}: none may be negative": {{Ask{Resources: Resources{CPU: -1}}, 1}},
		"expected pods: fraction 1000001 (limit 0) micro: use 1 to 1000000":                   {{Ask{Devices: 1, Part: Part{Fraction: GPU + 1}}, 1}},
	} {
		e := denseCluster(t)
		before := rememberedBy(e)
		err := e.Apply(Expect{Pods: pods})
		if err == nil || err.Error() != want {
			t.Errorf("%v\n\twant: %s", err, want)
		}
		if after := rememberedBy(e); after != before {
			t.Errorf("%s: refused, and yet\n%s\nbecame\n%s", want, before, after)
		}
	}
}

func TestExpectingNothingTakesItBack(t *testing.T) {
	e := denseCluster(t)
	for range 2 {
		if err := e.Apply(Expect{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, ev := range e.Facts() {
		if _, ok := ev.(Expect); ok {
			t.Errorf("still expected: %v", ev)
		}
	}
	if got, want := e.currentMix().shapes[0].ask.Part.Fraction, GPU/2; got != want {
		t.Errorf("pods are like those of %d, want those that exist, of %d", got, want)
	}
}

// Whatever is told to expect is refused with a sentence and changes nothing, or
// it can be lived with: pods still find places, and a restart knows it too.
func FuzzExpect(f *testing.F) {
	add := func(numbers ...int64) {
		var data []byte
		for _, n := range numbers {
			data = binary.LittleEndian.AppendUint64(data, uint64(n))
		}
		f.Add(data)
	}
	add(1, 1, GPU/2, 0, 0, 0, 0, 0)
	add(5, 8, 0, 0, 0, 4000, 1<<34, 1, 5, 1, 0, 1000, 0, 1, 1, 2)
	add(1, 1, 0, 0, 0, math.MaxInt64, math.MaxInt64, 0)
	add(mostWeight, 64, 1, math.MaxInt64, math.MaxInt64, 1, 1, 3)
	add(0, -1, -5, -5, -5, -5, -5, 7)
	f.Fuzz(func(t *testing.T, data []byte) {
		var ev Expect
		for ; len(data) >= 64; data = data[64:] {
			var n [8]int64
			for i := range n {
				n[i] = int64(binary.LittleEndian.Uint64(data[8*i:]))
			}
			x := Expected{Weight: n[0], Ask: Ask{Devices: int(n[1]), Part: Part{Fraction: n[2], MemoryMiB: n[3], ComputeMilli: n[4]}}}
			x.Ask.CPU, x.Ask.Memory = n[5], n[6]
			if n[7]&1 != 0 {
				x.Ask.Models = []string{"L4", "H100"}
			}
			if n[7]&2 != 0 {
				x.Ask.Other = map[string]int64{"example.com/rdma": n[7]}
			}
			ev.Pods = append(ev.Pods, x)
		}
		e := denseCluster(t)
		before := rememberedBy(e)
		if err := e.Apply(ev); err != nil {
			if after := rememberedBy(e); after != before {
				t.Fatalf("refused with %v, and yet\n%s\nbecame\n%s", err, before, after)
			}
			if strings.ContainsAny(err.Error(), "\n") || len(err.Error()) > 300 {
				t.Fatalf("no sentence: %v", err)
			}
			return
		}
		again := New(Config{})
		for _, fact := range e.Facts() {
			if err := again.Apply(fact); err != nil {
				t.Fatalf("a restart refuses %v: %v", fact, err)
			}
		}
		for _, ask := range []Ask{{}, {Devices: 1}, {Devices: 1, Part: Part{Fraction: GPU / 4}}} {
			id := fmt.Sprint(ask)
			for _, e := range []*Engine{e, again} {
				if err := e.Apply(WorkloadSet{Workload{ID: id, Owner: "a"}}); err != nil {
					t.Fatal(err)
				}
				if err := e.Apply(PodSet{Workload: id, Pod: Pod{ID: id, Ask: ask}}); err != nil {
					t.Fatal(err)
				}
			}
			if ds := e.Decide(2); len(ds) != 1 || !reflect.DeepEqual(ds, again.Decide(2)) {
				t.Fatalf("a pod of %v leads to %v", ask, ds)
			}
		}
	})
}
