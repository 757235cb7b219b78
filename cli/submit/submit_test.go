package submit

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-gpu/weir/sched"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestBuild(t *testing.T) {
	for _, tc := range []struct {
		name string
		kind sched.Kind
		Options
	}{
		{"build", sched.Build, Options{Name: "dev", Namespace: "ml", Image: "python:3.13", GPU: "0.5", Pods: 1,
			Notes: []string{"example.com/owner=me"}}},
		{"train", sched.Train, Options{
			Name: "llm", Namespace: "ml", Project: "vision", Image: "pytorch:2", Pods: 4, Retries: 3,
			GPU: "8", GPUModels: []string{"A100", "H100"}, CPU: "16", Memory: "64Gi",
			Command: []string{"torchrun", "train.py"}, Env: []string{"EPOCHS=10", "EMPTY="},
			Priority: new(int32(70)), Preempt: new(true), NodePools: []string{"a", "b"},
			MinRuntime: 5 * time.Minute, MinPods: 2,
		}},
		{"train-memory", sched.Train, Options{
			Name: "tune", Namespace: "ml", Image: "pytorch:2", Pods: 1,
			GPUMemory: "10Gi", GPUMemoryLimit: "20Gi", GPUDevices: 2, GPUCompute: "0.3",
		}},
		{"infer", sched.Infer, Options{
			Name: "chat", Namespace: "ml", Image: "vllm:1", Pods: 2, GPU: "0.25", GPULimit: "1",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			obj, err := Build(tc.kind, tc.Options)
			if err != nil {
				t.Fatal(err)
			}
			got, err := YAML(obj)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tc.name+".yaml", got)
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	good := Options{Name: "x", Namespace: "ml", Image: "i", Pods: 1}
	for _, tc := range []struct {
		name string
		with func(*Options)
		want string
	}{
		{"no image", func(o *Options) { o.Image = "" }, "--image is missing: name the container image to run"},
		{"bad name", func(o *Options) { o.Name = "My_Job" }, `"My_Job" cannot be the name of a workload`},
		{"one and a half", func(o *Options) { o.GPU = "1.5" },
			"--gpu: 1.5 GPUs: a share goes up to 1 GPU and more must be whole, so ask for 1, for 2"},
		{"nothing", func(o *Options) { o.GPU = "0" }, "--gpu: 0 GPUs cannot be asked for: leave the flag out"},
		{"negative", func(o *Options) { o.GPU = "-0.5" }, "--gpu: -0.5 GPUs are fewer than none"},
		{"whole with memory", func(o *Options) { o.GPU, o.GPUMemory = "2", "10Gi" },
			"--gpu-memory 10Gi is for a part of a GPU, and --gpu 2 asks for whole ones"},
		{"whole of devices", func(o *Options) { o.GPU, o.GPUDevices = "1", 2 }, "write --gpu 2 for whole GPUs"},
		{"no pods", func(o *Options) { o.Pods = 0 }, "--pods: 0 is fewer than one"},
		{"minimum above all", func(o *Options) { o.MinPods = 2 }, "--min-pods: 2 of 1 pods cannot be needed"},
		{"retries", func(o *Options) { o.Retries = -1 }, "--retries: -1 is fewer than none"},
		{"runtime", func(o *Options) { o.MinRuntime = -time.Second }, "--min-runtime: -1s is less than nothing"},
		{"cpu", func(o *Options) { o.CPU = "lots" }, `--cpu: "lots" is not an amount`},
		{"memory", func(o *Options) { o.Memory = "-1Gi" }, `--memory: "-1Gi" is less than nothing`},
		{"env", func(o *Options) { o.Env = []string{"EPOCHS"} }, `--env: "EPOCHS" is not NAME=value`},
		{"annotation", func(o *Options) { o.Notes = []string{"x"} }, `--annotation: "x" is not NAME=value`},
		// From here on admission speaks: the same words, the same sentence.
		{"limit under request", func(o *Options) { o.GPU, o.GPULimit = "0.5", "0.2" }, "weir.dev/gpu-fraction-limit"},
		{"memory unreadable", func(o *Options) { o.GPUMemory = "ten" }, "weir.dev/gpu-memory"},
		{"models without GPU", func(o *Options) { o.GPUModels = []string{"A100"} },
			"names models but the pod asks for no GPU"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := good
			tc.with(&o)
			_, err := Build(sched.Train, o)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (rewrite with -update):\n%s", path, got)
	}
}
