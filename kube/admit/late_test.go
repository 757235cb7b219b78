package admit

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/weir-gpu/weir/api/v1alpha1"
)

// What was made a moment ago, and is not among what the watches have shown, is
// looked up before anything is refused because of it, and only then.
func TestLooksBeforeItRefuses(t *testing.T) {
	there := map[string]runtime.Object{
		"departments/new": &v1alpha1.Department{ObjectMeta: metav1.ObjectMeta{Name: "new"},
			Spec: v1alpha1.DepartmentSpec{Parent: "newer"}},
		"departments/research": &v1alpha1.Department{ObjectMeta: metav1.ObjectMeta{Name: "research"},
			Spec: v1alpha1.DepartmentSpec{Pools: []v1alpha1.PoolShare{
				{Name: "default", Quota: v1alpha1.Amount{GPU: new(resource.MustParse("30"))}}}}},
		"projects/robots":   &v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Name: "robots"}},
		"projects/occupied": &v1alpha1.Project{Spec: v1alpha1.ProjectSpec{Namespaces: []string{"other"}}},
		"nodepools/h100":    &v1alpha1.NodePool{ObjectMeta: metav1.ObjectMeta{Name: "h100"}},
	}
	const half, runs = `annotations: {weir.dev/gpu-fraction: "0.5"`, `spec: {containers: [{name: c}]}`
	for name, c := range map[string]struct {
		kind, object, refusal string
		looked                []string
	}{
		"a project of a new department": {kind: "weir.dev/v1alpha1 Project", looked: []string{"departments/new"},
			object: `{metadata: {name: maps}, spec: {department: new}}`},
		"a department below a new one": {kind: "weir.dev/v1alpha1 Department", looked: []string{"departments/new"},
			object: `{metadata: {name: maps}, spec: {parent: new}}`},
		"a project of no department that is": {kind: "weir.dev/v1alpha1 Project", looked: []string{"departments/nowhere"},
			object: `{metadata: {name: maps}, spec: {department: nowhere}}`, refusal: "which does not exist"},
		"a project of a department that was seen": {kind: "weir.dev/v1alpha1 Project",
			object: `{metadata: {name: maps}, spec: {department: research}}`},
		"a project of a department whose quota was raised": {kind: "weir.dev/v1alpha1 Project",
			looked: []string{"departments/research"},
			object: `{metadata: {name: maps}, spec: {department: research, pools: [{name: default, quota: {gpu: 20}}]}}`},
		"a project of a department whose quota is too small all the same": {kind: "weir.dev/v1alpha1 Project",
			looked: []string{"departments/research"}, refusal: "quota",
			object: `{metadata: {name: maps}, spec: {department: research, pools: [{name: default, quota: {gpu: 50}}]}}`},
		"a project beside the departments": {kind: "weir.dev/v1alpha1 Project", object: `{metadata: {name: maps}}`},
		"a department above itself": {kind: "weir.dev/v1alpha1 Department", looked: []string{"departments/maps"},
			object: `{metadata: {name: maps}, spec: {parent: maps}}`, refusal: "circle"},
		"a pod of a new project": {looked: []string{"projects/robots"},
			object: `{metadata: {name: p, namespace: nlp, ` + half + `, weir.dev/project: robots}}, ` + runs + `}`},
		"a pod in the namespace of a new project": {looked: []string{"projects/robots", "projects/robots"},
			object: `{metadata: {name: p, namespace: robots, ` + half + `}}, ` + runs + `}`},
		"a pod in a namespace that the project of its name does not have": {looked: []string{"projects/occupied"},
			object:  `{metadata: {name: p, namespace: occupied, ` + half + `}}, ` + runs + `}`,
			refusal: "belongs to none"},
		"a pod that is nobody's business": {object: `{metadata: {name: p, namespace: robots}, ` + runs + `}`},
		"a pod of no project that is": {looked: []string{"projects/nowhere"},
			object:  `{metadata: {name: p, namespace: nlp, ` + half + `, weir.dev/project: nowhere}}, ` + runs + `}`,
			refusal: "is not a Project"},
		"a pod for a new pool": {looked: []string{"nodepools/h100"},
			object: `{metadata: {name: p, namespace: nlp, ` + half + `, weir.dev/node-pool: h100}}, ` + runs + `}`},
		"a Job of a new project": {kind: "batch/v1 Job", looked: []string{"projects/robots"},
			object: `{metadata: {name: j, namespace: nlp}, spec: {template: {metadata: {` + half +
				`, weir.dev/project: robots}}, ` + runs + `}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			var looked []string
			cfg := sample(&made{})
			cfg.Look = func(_ context.Context, resource, name string, into runtime.Object) bool {
				looked = append(looked, resource+"/"+name)
				obj, ok := there[resource+"/"+name]
				if ok {
					reflect.ValueOf(into).Elem().Set(reflect.ValueOf(obj).Elem())
				}
				return ok
			}
			raw, err := yaml.YAMLToJSON([]byte(c.object))
			if err != nil {
				t.Fatal(err)
			}
			s := story{Case: name, Kind: c.kind, Operation: admissionv1.Create, Object: json.RawMessage(raw)}
			r := send(t, Handler(cfg), s.request(t))
			if r.Allowed != (c.refusal == "") || !r.Allowed && !strings.Contains(r.Result.Message, c.refusal) {
				t.Errorf("got %s", outcome(r, nil))
			}
			if !reflect.DeepEqual(looked, c.looked) {
				t.Errorf("looked for %q, want %q", looked, c.looked)
			}
		})
	}
}
