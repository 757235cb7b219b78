package openb

import (
	"math"
	"reflect"
	"testing"
)

// What a variant is made for is so, and its pods have names of their own.
func TestVariants(t *testing.T) {
	nodes, err := Nodes()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		multi, bound float64 // per cent of demand, of pods with GPUs
		cpuOnly      int
	}{
		"default": {7.29, 0, 1088},
		"multi20": {20, 0, 1088},
		"multi50": {50, 0, 1088},
		"model10": {7.29, 10, 1088},
		"model33": {7.29, 33, 1088},
		"cpu250":  {7.29, 0, 2720},
	} {
		pods, err := PodList(name)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := PodList(name); !reflect.DeepEqual(pods, again) {
			t.Errorf("%s is not always the same", name)
		}
		got := shape(t, pods, nodes)
		if math.Abs(got.multi-want.multi) > 0.1 || math.Abs(got.bound-want.bound) > 0.1 || got.cpuOnly != want.cpuOnly {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
}

func shape(t *testing.T, pods []Pod, nodes []Node) (s struct {
	multi, bound float64
	cpuOnly      int
}) {
	names, all, several, with, bound := map[string]bool{}, 0.0, 0.0, 0.0, 0.0
	for _, p := range pods {
		names[p.Name] = true
		all += float64(p.MicroGPU())
		switch {
		case p.GPUs > 1:
			several += float64(p.MicroGPU())
		case p.GPUs == 0:
			s.cpuOnly++
		}
		if p.GPUs > 0 {
			with++
		}
		if len(p.Models) > 0 {
			bound++
			if !placeable(p, nodes) {
				t.Errorf("%s asks for %d of %s, which no node has", p.Name, p.GPUs, p.Models[0])
			}
		}
	}
	if len(names) != len(pods) {
		t.Errorf("%d pods have %d names", len(pods), len(names))
	}
	s.multi, s.bound = 100*several/all, 100*bound/with
	return s
}

func placeable(p Pod, nodes []Node) bool {
	for _, n := range nodes {
		if n.Model == p.Models[0] && n.GPUs >= p.GPUs {
			return true
		}
	}
	return false
}
