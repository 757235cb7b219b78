package claim

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/sched"
	_ "github.com/weir-gpu/weir/test/seed"
)

func anyDevices(t *rapid.T) []sched.Device {
	devices := make([]sched.Device, rapid.IntRange(0, 150).Draw(t, "devices"))
	for i := range devices {
		devices[i] = sched.Device{
			Name:         fmt.Sprintf("gpu-%d", i),
			Model:        rapid.SampledFrom([]string{"NVIDIA-H100-80GB-HBM3", "Tesla T4", ""}).Draw(t, "model"),
			MemoryMiB:    rapid.Int64Range(0, 1<<24).Draw(t, "memory"),
			ComputeMilli: rapid.Int64Range(1, 4000).Draw(t, "compute"),
			Unhealthy:    rapid.Bool().Draw(t, "unhealthy"),
		}
	}
	return devices
}

func TestDevicesComeBackFromTheirSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyDevices(t)
		slices := Slices("n1", "u1", 3, want)
		for _, s := range slices {
			wantValidSlice(t, s)
		}
		got, err := Devices(slices)
		if err != nil || len(got) != len(want) || len(want) > 0 && !cmp.Equal(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

func TestLongNodeNamesStillMakeSliceNames(t *testing.T) {
	for _, node := range []string{"n", strings.Repeat("a", 240) + ".example.com"} {
		s := Slices(node, "u1", 1, []sched.Device{{Name: "gpu-0", MemoryMiB: 1}})
		wantValidSlice(t, s[0])
	}
}

func TestOnlyTheNewestGenerationCounts(t *testing.T) {
	two := Slices("n1", "u1", 1, make([]sched.Device, 65))
	for i := range two[0].Spec.Devices {
		two[0].Spec.Devices[i].Name = fmt.Sprintf("old-%d", i)
	}
	after := Slices("n1", "u1", 2, []sched.Device{{Name: "gpu-0", MemoryMiB: 7, ComputeMilli: 1000}})
	got, err := Devices([]*resourcev1.ResourceSlice{two[0], after[0], two[1]})
	if err != nil || len(got) != 1 || got[0].MemoryMiB != 7 {
		t.Errorf("got %+v, %v; want the one device of generation 2", got, err)
	}

	if _, err := Devices(two[:1]); !errors.Is(err, ErrIncomplete) {
		t.Errorf("one slice of two: got %v; want ErrIncomplete", err)
	}
	if got, err := Devices(nil); err != nil || len(got) != 0 {
		t.Errorf("no slices: got %+v, %v", got, err)
	}
}

func TestOddSlices(t *testing.T) {
	odd := Slices("n1", "u1", 1, []sched.Device{
		{Name: "gpu-0", MemoryMiB: 1, ComputeMilli: 1000},
		{Name: "gpu-1", MemoryMiB: 1}, {Name: "gpu-2", MemoryMiB: 1},
		{Name: "gpu-0", MemoryMiB: 5}, {Name: "gpu-4", MemoryMiB: 3},
	})[0]
	delete(odd.Spec.Devices[1].Capacity, "memory")
	odd.Spec.Devices[2].Capacity["memory"] = resourcev1.DeviceCapacity{Value: resource.MustParse("-1")}
	odd.Spec.Devices[4].Capacity = map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{
		"memory": {Value: resource.MustParse("2.9Mi")},
	}
	odd.Spec.Devices[4].Taints = []resourcev1.DeviceTaint{{Key: "x.example.com/hot", Effect: "NoExecute"}}
	other := &resourcev1.ResourceSlice{Spec: resourcev1.ResourceSliceSpec{Driver: "nic.example.com"}}

	got, err := Devices([]*resourcev1.ResourceSlice{other, odd})
	want := []sched.Device{
		{Name: "gpu-0", MemoryMiB: 1, ComputeMilli: 1000},
		{Name: "gpu-4", MemoryMiB: 2, ComputeMilli: 1000, Unhealthy: true},
	}
	if !cmp.Equal(got, want) {
		t.Errorf("got %+v; want %+v", got, want)
	}
	wantErr := `ResourceSlice n1-gpu.weir.dev-0: device gpu-1: capacity memory is missing or negative; publish the usable bytes
ResourceSlice n1-gpu.weir.dev-0: device gpu-2: capacity memory is missing or negative; publish the usable bytes
ResourceSlice n1-gpu.weir.dev-0: device gpu-0 is listed twice; list it once`
	if err == nil || err.Error() != wantErr {
		t.Errorf("got\n%v\nwant\n%s", err, wantErr)
	}
}
