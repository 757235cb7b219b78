package ask

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/sched"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run with -update to accept (-want +got):\n%s", diff)
	}
}

// podOf reads a pod from YAML, strictly.
func podOf(t *testing.T, text string) *corev1.Pod {
	t.Helper()
	return objectOf[corev1.Pod](t, text)
}

func objectOf[T any](t *testing.T, text string) *T {
	t.Helper()
	var obj T
	if err := yaml.UnmarshalStrict([]byte(text), &obj); err != nil {
		t.Fatal(err)
	}
	return &obj
}

// annotated returns a pod with one container and the words "name: value" of
// each line as annotations.
func annotated(t *testing.T, lines string) *corev1.Pod {
	t.Helper()
	return podOf(t, `
metadata:
  name: p
  namespace: ml
  annotations: {`+strings.ReplaceAll(lines, "\n", ",")+`}
spec:
  containers: [{name: main}]
`)
}

func TestShareByWords(t *testing.T) {
	const half = sched.GPU / 2
	for name, c := range map[string]struct {
		words string
		want  sched.Ask
	}{
		"half":         {`weir.dev/gpu-fraction: "0.5"`, sched.Ask{Devices: 1, Part: sched.Part{Fraction: half}}},
		"no zero":      {`weir.dev/gpu-fraction: ".5"`, sched.Ask{Devices: 1, Part: sched.Part{Fraction: half}}},
		"finest":       {`weir.dev/gpu-fraction: "0.000001"`, sched.Ask{Devices: 1, Part: sched.Part{Fraction: 1}}},
		"zeros":        {`weir.dev/gpu-fraction: "0.300000000"`, sched.Ask{Devices: 1, Part: sched.Part{Fraction: 300_000}}},
		"one":          {`weir.dev/gpu-fraction: "1"`, sched.Ask{Devices: 1, Part: sched.Part{Fraction: sched.GPU}}},
		"old spelling": {`gpu-fraction: "0.5"`, sched.Ask{Devices: 1, Part: sched.Part{Fraction: half}}},
		"both spelt": {
			`gpu-fraction: "0.5", weir.dev/gpu-fraction: "0.5"`,
			sched.Ask{Devices: 1, Part: sched.Part{Fraction: half}},
		},
		"of two": {
			`gpu-fraction: "0.5", gpu-fraction-num-devices: "2"`,
			sched.Ask{Devices: 2, Part: sched.Part{Fraction: half}},
		},
		"memory":       {`weir.dev/gpu-memory: "10Gi"`, sched.Ask{Devices: 1, Part: sched.Part{MemoryMiB: 10240}}},
		"plain is MiB": {`gpu-memory: "2000"`, sched.Ask{Devices: 1, Part: sched.Part{MemoryMiB: 2000}}},
		"rounded up":   {`weir.dev/gpu-memory: "10G"`, sched.Ask{Devices: 1, Part: sched.Part{MemoryMiB: 9537}}},
		"parts of Gi":  {`weir.dev/gpu-memory: "1.5Gi"`, sched.Ask{Devices: 1, Part: sched.Part{MemoryMiB: 1536}}},
		"with compute": {
			`weir.dev/gpu-memory: "1Gi", weir.dev/gpu-compute: "0.3"`,
			sched.Ask{Devices: 1, Part: sched.Part{MemoryMiB: 1024, ComputeMilli: 300}},
		},
		"with fraction": {
			`weir.dev/gpu-memory: "1Gi", weir.dev/gpu-fraction: "0.5"`,
			sched.Ask{Devices: 1, Part: sched.Part{MemoryMiB: 1024, Fraction: half}},
		},
		"limits": {
			`weir.dev/gpu-memory: "1Gi", weir.dev/gpu-memory-limit: "2Gi",` +
				`weir.dev/gpu-compute: "0.3", weir.dev/gpu-compute-limit: "1"`,
			sched.Ask{Devices: 1, Part: sched.Part{
				MemoryMiB: 1024, LimitMemoryMiB: 2048, ComputeMilli: 300, LimitComputeMilli: 1000,
			}},
		},
		"limit of fraction": {
			`weir.dev/gpu-fraction: "0.5", weir.dev/gpu-fraction-limit: "0.75"`,
			sched.Ask{Devices: 1, Part: sched.Part{Fraction: half, LimitFraction: 750_000}},
		},
		"models": {
			`weir.dev/gpu-fraction: "0.5", weir.dev/gpu-models: "H100, A100,H100"`,
			sched.Ask{Devices: 1, Part: sched.Part{Fraction: half}, Models: []string{"A100", "H100"}},
		},
		"nothing": {``, sched.Ask{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FromPod(annotated(t, c.words), nil)
			c.want.Fit = PlainFit
			if err != nil || !cmp.Equal(got, c.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestLabelsServeWhereThereIsNoAnnotation(t *testing.T) {
	pod := annotated(t, `weir.dev/gpu-fraction: "0.5"`)
	pod.Labels = map[string]string{GPUFraction: "0.7", GPUDevices: "3"}
	got, err := FromPod(pod, nil)
	if err != nil || got.Part.Fraction != 500_000 || got.Devices != 3 {
		t.Errorf("got %+v, %v; want half of each of 3 GPUs", got, err)
	}
}

func TestWrongWords(t *testing.T) {
	var got strings.Builder
	for _, words := range []string{
		`weir.dev/gpu-fraction: "0"`,
		`weir.dev/gpu-fraction: "-0.5"`,
		`weir.dev/gpu-fraction: "1.5"`,
		`gpu-fraction: "half"`,
		`weir.dev/gpu-fraction: ""`,
		`weir.dev/gpu-fraction: "1e-1"`,
		`weir.dev/gpu-fraction: "0.0000001"`,
		`weir.dev/gpu-fraction: "0.5", gpu-fraction: "0.6"`,
		`weir.dev/gpu-memory: "0"`,
		`weir.dev/gpu-memory: "-1Gi"`,
		`weir.dev/gpu-memory: "10GB"`,
		`weir.dev/gpu-memory: "1.5"`,
		`gpu-memory: "99999999999999"`,
		`weir.dev/gpu-memory: "9e9Gi"`,
		`weir.dev/gpu-devices: "2"`,
		`weir.dev/gpu-compute: "0.5"`,
		`weir.dev/gpu-models: "H100"`,
		`weir.dev/gpu-memory-limit: 1Gi`,
		`weir.dev/gpu-fraction: "0.5", weir.dev/gpu-devices: "0"`,
		`weir.dev/gpu-fraction: "0.5", weir.dev/gpu-devices: "33"`,
		`weir.dev/gpu-fraction: "0.5", weir.dev/gpu-devices: "two"`,
		`weir.dev/gpu-fraction: "0.5", weir.dev/gpu-fraction-limit: "0.4"`,
		`weir.dev/gpu-memory: 1Gi, weir.dev/gpu-compute: "0.3333"`,
		`weir.dev/gpu-memory: 1Gi, weir.dev/gpu-compute: "0.3", weir.dev/gpu-fraction: "0.3"`,
		`weir.dev/gpu-fraction: "0.5", weir.dev/gpu-models: "H100,"`,
		`weir.dev/gpu-fraction: "0.5", weir.dev/gpu-idle-memory: give`,
	} {
		_, err := FromPod(annotated(t, words), nil)
		fmt.Fprintf(&got, "%s\n    %v\n", words, err)
	}
	golden(t, "wrong-words", got.String())
}

func TestResourcesFollowKubernetesRules(t *testing.T) {
	pod := podOf(t, `
metadata: {name: p, namespace: ml}
spec:
  overhead: {cpu: 100m, memory: 10Mi}
  initContainers:
  - name: fetch
    resources: {requests: {cpu: "8", memory: 1Gi}}
  - name: sidecar
    restartPolicy: Always
    resources: {requests: {cpu: "1", memory: 100Mi}}
  containers:
  - name: a
    resources:
      requests: {cpu: "2"}
      limits: {nvidia.com/gpu: 4, memory: 3Gi, rdma/hca: 1}
  - name: b
    resources: {requests: {cpu: 1500m, ephemeral-storage: 1500m}, limits: {nvidia.com/gpu: "2"}}
`)
	got, err := FromPod(pod, nil)
	want := sched.Ask{
		Devices: 6,
		Resources: sched.Resources{
			CPU:    8000 + 100, // fetch asks for more than sidecar, a and b together
			Memory: (3*1024 + 100 + 10) * mib,
			Other:  map[string]int64{"rdma/hca": 1, "ephemeral-storage": 2},
		},
		Fit: PlainFit,
	}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestPodLevelResourcesReplaceThoseOfContainers(t *testing.T) {
	got, err := FromPod(podOf(t, `
spec:
  resources: {limits: {cpu: "4", memory: 2Gi}}
  containers:
  - {name: a, resources: {requests: {cpu: "1", memory: 1Gi}}}
`), nil)
	if err != nil || got.CPU != 4000 || got.Memory != 2<<30 {
		t.Errorf("got %+v, %v; want 4 CPUs and 2Gi", got, err)
	}
}

func TestWrongResources(t *testing.T) {
	var got strings.Builder
	for _, resources := range []string{
		`{limits: {nvidia.com/gpu: "1.5"}}`,
		`{limits: {nvidia.com/gpu: "-1"}}`,
		`{requests: {nvidia.com/gpu: 1}}`,
		`{requests: {memory: "-1Gi"}}`,
		`{requests: {cpu: "9E"}}`,
	} {
		_, err := FromPod(podOf(t, `spec: {containers: [{name: main, resources: `+resources+`}]}`), nil)
		fmt.Fprintf(&got, "%s\n    %v\n", resources, err)
	}
	golden(t, "wrong-resources", got.String())
}

func TestShareBesideWholeGPUs(t *testing.T) {
	pod := annotated(t, `gpu-fraction: "0.5"`)
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{WholeGPU: *quantity("1")}
	_, err := FromPod(pod, nil)
	want := `gpu-fraction "0.5" stands beside nvidia.com/gpu: 1; ask either for whole GPUs or for a share, not both`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestWholeGPUsOfAModel(t *testing.T) {
	pod := annotated(t, `weir.dev/gpu-models: "H100"`)
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{WholeGPU: *quantity("2")}
	got, err := FromPod(pod, nil)
	want := sched.Ask{Devices: 2, Models: []string{"H100"}, Fit: PlainFit}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestAllocatableRoundsDown(t *testing.T) {
	got := Allocatable(corev1.ResourceList{
		"cpu": *quantity("3920m"), "memory": *quantity("1500m"), "pods": *quantity("110"),
		"nvidia.com/gpu": *quantity("8"), "rdma/hca": *quantity("2"), "hugepages-2Mi": *quantity("0"),
	})
	want := sched.Resources{CPU: 3920, Memory: 1, Pods: 110, Other: map[string]int64{"rdma/hca": 2}}
	if !cmp.Equal(got, want) {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

// shelf is a set of claims and templates, of namespace ml.
type shelf struct {
	claims    map[string]*resourcev1.ResourceClaim
	templates map[string]*resourcev1.ResourceClaimTemplate
}

func (s shelf) Claim(_, name string) *resourcev1.ResourceClaim            { return s.claims[name] }
func (s shelf) Template(_, name string) *resourcev1.ResourceClaimTemplate { return s.templates[name] }

const claimingPod = `
metadata: {name: p, namespace: ml, uid: u1}
spec:
  containers: [{name: main}]
  resourceClaims: [{name: mine, resourceClaimTemplateName: tmpl}]
`

// claiming returns what pods ask for whose claim template has the given
// spec.devices.
func claiming(t *testing.T, devices string) (sched.Ask, error) {
	t.Helper()
	devices = strings.ReplaceAll(strings.TrimSpace(devices), "\n", "\n      ")
	template := objectOf[resourcev1.ResourceClaimTemplate](t, "spec:\n  spec:\n    devices:\n      "+devices)
	return FromPod(podOf(t, claimingPod),
		shelf{templates: map[string]*resourcev1.ResourceClaimTemplate{"tmpl": template}})
}

func TestShareByClaim(t *testing.T) {
	for name, c := range map[string]struct {
		devices string
		want    sched.Ask
	}{
		"whole": {
			`requests: [{name: a, exactly: {deviceClassName: gpu.weir.dev}}]`,
			sched.Ask{Devices: 1},
		},
		"two whole": {
			`requests: [{name: a, exactly: {deviceClassName: gpu.weir.dev, count: 2}}]`,
			sched.Ask{Devices: 2},
		},
		"two requests": {
			`
requests:
- {name: a, exactly: {deviceClassName: gpu.weir.dev}}
- {name: b, exactly: {deviceClassName: gpu.weir.dev, count: 3}}
`, sched.Ask{Devices: 4},
		},
		"capacity": {
			`
requests:
- name: a
  exactly: {deviceClassName: gpu.weir.dev, capacity: {requests: {memory: 10Gi, compute: "300"}}}
`, sched.Ask{Devices: 1, Part: sched.Part{MemoryMiB: 10240, ComputeMilli: 300}},
		},
		"capacity of memory": {
			`
requests:
- name: a
  exactly: {deviceClassName: gpu.weir.dev, capacity: {requests: {gpu.weir.dev/memory: 10Gi}}}
`, sched.Ask{Devices: 1, Part: sched.Part{MemoryMiB: 10240}},
		},
		"config": {
			`
requests: [{name: a, exactly: {deviceClassName: gpu.weir.dev, count: 2}}]
config:
- requests: [a]
  opaque:
    driver: gpu.weir.dev
    parameters:
      apiVersion: gpu.weir.dev/v1alpha1
      kind: ShareConfig
      fraction: "0.5"
      fractionLimit: "1"
      models: [H100, A100]
- opaque: {driver: other.example.com, parameters: {}}
`, sched.Ask{
				Devices: 2, Part: sched.Part{Fraction: 500_000, LimitFraction: sched.GPU},
				Models: []string{"A100", "H100"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := claiming(t, c.devices)
			c.want.Fit = PlainFit
			if err != nil || !cmp.Equal(got, c.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestWrongClaims(t *testing.T) {
	const share = `apiVersion: gpu.weir.dev/v1alpha1, kind: ShareConfig`
	one := func(exactly string) string { return `requests: [{name: a, exactly: ` + exactly + `}]` }
	configured := func(parameters string) string {
		return one(`{deviceClassName: gpu.weir.dev, capacity: {requests: {memory: 10Gi}}}`) +
			"\nconfig: [{opaque: {driver: gpu.weir.dev, parameters: {" + parameters + "}}}]"
	}
	var got strings.Builder
	for _, devices := range []string{
		one(`{deviceClassName: nic.example.com}`),
		one(`{deviceClassName: gpu.weir.dev, allocationMode: All}`),
		one(`{deviceClassName: gpu.weir.dev, adminAccess: true}`),
		one(`{deviceClassName: gpu.weir.dev, selectors: [{cel: {expression: "true"}}]}`),
		one(`{deviceClassName: gpu.weir.dev, tolerations: [{key: hot, operator: Exists}]}`),
		one(`{deviceClassName: gpu.weir.dev, count: 33}`),
		one(`{deviceClassName: gpu.weir.dev, capacity: {requests: {compute: "300"}}}`),
		one(`{deviceClassName: gpu.weir.dev, capacity: {requests: {memory: 1Gi, compute: "1001"}}}`),
		one(`{deviceClassName: gpu.weir.dev, capacity: {requests: {memory: "0"}}}`),
		one(`{deviceClassName: gpu.weir.dev, capacity: {requests: {cores: "3"}}}`),
		`requests: [{name: a, firstAvailable: [{name: x, deviceClassName: gpu.weir.dev}]}]`,
		`
requests:
- {name: a, exactly: {deviceClassName: gpu.weir.dev}}
- {name: b, exactly: {deviceClassName: gpu.weir.dev, capacity: {requests: {memory: 1Gi}}}}
`,
		`
requests:
- {name: a, exactly: {deviceClassName: gpu.weir.dev, count: 20}}
- {name: b, exactly: {deviceClassName: gpu.weir.dev, count: 20}}
`,
		`{constraints: [{matchAttribute: gpu.weir.dev/model}], requests: []}`,
		configured(`fractoin: "0.5"`),
		configured(`kind: Other`),
		configured(share + `, memory: 11Gi`),
		configured(share + `, fraction: "2"`),
		configured(share + `, models: [" "]`),
	} {
		_, err := claiming(t, devices)
		fmt.Fprintf(&got, "%s\n    %v\n", strings.TrimSpace(devices), err)
	}
	golden(t, "wrong-claims", got.String())
}

func TestClaimThatIsNotThereYet(t *testing.T) {
	_, err := FromPod(podOf(t, claimingPod), shelf{})
	if !errors.Is(err, ErrMissing) {
		t.Fatalf("got %v; want ErrMissing", err)
	}
	want := "ResourceClaimTemplate ml/tmpl does not exist; create it, or correct the name in spec.resourceClaims"
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestClaimHeldByAnotherPod(t *testing.T) {
	pod := podOf(t, `
metadata: {name: p, namespace: ml, uid: u1}
spec: {resourceClaims: [{name: mine, resourceClaimName: shared}]}
`)
	claim := objectOf[resourcev1.ResourceClaim](t, `
metadata: {name: shared, namespace: ml}
spec: {devices: {requests: [{name: a, exactly: {deviceClassName: gpu.weir.dev}}]}}
status: {reservedFor: [{resource: pods, name: first, uid: u0}]}
`)
	_, err := FromPod(pod, shelf{claims: map[string]*resourcev1.ResourceClaim{"shared": claim}})
	want := `spec.resourceClaims "shared" is held by pod first; give each pod its own claim with resourceClaimTemplateName`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestAdmittedPodNeedsNoLookup(t *testing.T) {
	pod := annotated(t, `weir.dev/gpu-fraction: "0.5"`)
	plain, err := FromPod(pod, nil)
	if err != nil {
		t.Fatal(err)
	}
	name := ShapeOf(plain).TemplateName()
	pod.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: ClaimRef, ResourceClaimTemplateName: &name}}
	got, err := FromPod(pod, nil)
	if err != nil || !cmp.Equal(got, plain) {
		t.Errorf("got %+v, %v; want %+v", got, err, plain)
	}

	// The words can be edited while the pod lives; what it gets cannot.
	config, _ := ShapeOf(plain).Config()
	raw, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	raw, err = yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	template := objectOf[resourcev1.ResourceClaimTemplate](t,
		`spec: {spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpu.weir.dev}}]}}}`)
	template.Spec.Spec.Devices.Config = []resourcev1.DeviceClaimConfiguration{{
		DeviceConfiguration: resourcev1.DeviceConfiguration{Opaque: &resourcev1.OpaqueDeviceConfiguration{
			Driver: Driver, Parameters: runtime.RawExtension{Raw: raw},
		}},
	}}
	pod.Annotations[GPUFraction] = "0.9"
	got, err = FromPod(pod, shelf{templates: map[string]*resourcev1.ResourceClaimTemplate{name: template}})
	if err != nil || !cmp.Equal(got, plain) {
		t.Errorf("after an edit: got %+v, %v; want %+v", got, err, plain)
	}
}
