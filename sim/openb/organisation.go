package openb

import (
	"fmt"
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// owner is a line of the sample organisation.
type owner struct {
	department string // of a project
	name       string
	gpus       int64 // quota
}

// The sample organisation divides all GPUs of the trace. What each project
// does, at the default speed:
var (
	departments = []owner{
		{name: "research", gpus: 2620},
		{name: "products", gpus: 3080},
		{name: "platform", gpus: 512},
	}
	projects = []owner{
		{"research", "foundation", 1640}, // trains on whole nodes, see gangs
		{"research", "vision", 740},      // serves up to its quota and trains on top
		{"research", "language", 240},    // trains three times its quota
		{"products", "search", 1330},     // serves
		{"products", "recommend", 870},   // serves, and asks for more than its quota
		{"products", "assistant", 880},   // serves, but comes late
		{"platform", "batch", 320},       // trains three times its quota
		{"platform", "sandbox", 192},     // never comes: lends all the time
	}
)

// Organisation returns the departments and projects that share the trace's
// cluster. Every project has the namespace of its name.
func Organisation() ([]*v1alpha1.Department, []*v1alpha1.Project) {
	var ds []*v1alpha1.Department
	var ps []*v1alpha1.Project
	for _, o := range departments {
		ds = append(ds, decode[v1alpha1.Department](fmt.Sprintf(`
apiVersion: weir.dev/v1alpha1
kind: Department
metadata: {name: %s}
spec: {pools: [{name: default, quota: {gpu: %d}, weight: 1}]}
`, o.name, o.gpus)))
	}
	for _, o := range projects {
		ps = append(ps, decode[v1alpha1.Project](fmt.Sprintf(`
apiVersion: weir.dev/v1alpha1
kind: Project
metadata: {name: %s}
spec: {department: %s, pools: [{name: default, quota: {gpu: %d}, weight: 1}]}
`, o.name, o.department, o.gpus)))
	}
	return ds, ps
}

// Namespaces returns the namespaces of the sample organisation.
func Namespaces() []*corev1.Namespace {
	var all []*corev1.Namespace
	for _, o := range projects {
		all = append(all, &corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: o.name},
		})
	}
	return all
}

// Object is any Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}

// decode reads an object that is part of the program.
func decode[T any](text string) *T {
	obj := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		panic(fmt.Sprintf("sample organisation: %v", err))
	}
	return obj
}

// assignment says which projects submit the pods of one quality of service
// that come from a time on, at the default speed, and how many of a hundred
// each.
type assignment struct {
	qos    QoS
	from   time.Duration
	shares []portion
}

type portion struct {
	project string
	percent uint32
}

// assignments is what the sample organisation submits; the first that matches
// holds.
var assignments = []assignment{
	{LatencySensitive, 75 * time.Second, []portion{{"assistant", 60}, {"search", 18}, {"recommend", 12}, {"vision", 10}}},
	{LatencySensitive, 0, []portion{{"search", 45}, {"recommend", 30}, {"vision", 25}}},
	{BestEffort, 0, []portion{{"batch", 50}, {"language", 30}, {"vision", 20}}},
	{Burstable, 0, []portion{{"language", 100}}},
	{Guaranteed, 0, []portion{{"vision", 100}}},
}

// Assign returns the project that submits a pod of the trace: the same one
// every time, by a hash of its name.
func Assign(p Pod) string {
	h := fnv.New32a()
	h.Write([]byte(p.Name))
	draw := h.Sum32() % 100
	for _, a := range assignments {
		if a.qos != p.QoS || arrival(p) < a.from {
			continue
		}
		for _, s := range a.shares {
			if draw < s.percent {
				return s.project
			}
			draw -= s.percent
		}
	}
	panic(fmt.Sprintf("openb: no project for pod %s of quality %q", p.Name, p.QoS))
}
